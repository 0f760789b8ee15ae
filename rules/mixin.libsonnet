// The rules and boards as a monitoring mixin: `jb install` the folder rules, import this file, and change _config.
local url = 'https://hpc.example.org/aggregator';
local groups(text) = std.parseYaml(text).groups;
{
  _config+:: {
    // The service's public address, to which links of the boards lead.
    serviceUrl: url,
  },

  prometheusAlerts+:: {
    groups+: groups(importstr 'alerts/hpc-aggregator.yml') + groups(importstr 'alerts/hpc-days.yml')
             + groups(importstr 'alerts/hpc-jobs.yml'),
  },

  // hpc.yml is what the alerts and the boards read. The others are of the exporters: import them where those are scraped.
  prometheusRules+:: {
    groups+: groups(importstr 'recording/hpc.yml'),
  },

  local board(text) = std.parseJson(std.strReplace(text, url, $._config.serviceUrl)),
  grafanaDashboards+:: {
    'hpc-account.json': board(importstr 'dashboards/account.json'),
    'hpc-energy.json': board(importstr 'dashboards/energy.json'),
    'hpc-job.json': board(importstr 'dashboards/job.json'),
    'hpc-nodes.json': board(importstr 'dashboards/nodes.json'),
    'hpc-service.json': board(importstr 'dashboards/service.json'),
    'hpc-site.json': board(importstr 'dashboards/site.json'),
    'hpc-storage.json': board(importstr 'dashboards/storage.json'),
    'hpc-user.json': board(importstr 'dashboards/user.json'),
    'hpc-waste.json': board(importstr 'dashboards/waste.json'),
  },
}
