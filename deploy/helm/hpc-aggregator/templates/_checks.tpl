{{- /* What the schema cannot say well: every message begins with the property to change. */ -}}
{{- define "hpc-aggregator.check" -}}
{{- if not (dig "enabled" true .Values.AsMap) }}
  {{- fail "enabled: false has an effect only with `condition: <name of the part>.enabled` in the parent chart's dependencies" }}
{{- end }}
{{- if .Values.existingConfigMap }}
  {{- if gt (int .Values.replicaCount) 1 }}
    {{- fail (printf "replicaCount: %v replicas need a shared state, and the chart cannot see state.url in existingConfigMap: use config" .Values.replicaCount) }}
  {{- end }}
  {{- if .Values.extraFiles }}
    {{- fail "extraFiles: has no effect with existingConfigMap: put the files there" }}
  {{- end }}
{{- else }}
  {{- include "hpc-aggregator.checkConfig" . }}
  {{- include "hpc-aggregator.checkState" . }}
  {{- include "hpc-aggregator.checkTokens" . }}
{{- end }}
{{- include "hpc-aggregator.checkScrape" . }}
{{- if and .Values.web.tls (not .Values.web.existingSecret) }}
  {{- fail "web.existingSecret: is needed for web.tls: a Secret with the web configuration and its certificate" }}
{{- end }}
{{- if and .Values.dashboards.enabled (not (include "hpc-aggregator.publicUrl" .)) }}
  {{- fail "dashboards.serviceUrl: is needed for the links of the boards, or config.server.external_url" }}
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.ingressFrom) }}
  {{- fail "networkPolicy.ingressFrom: must say who may connect, such as the namespace of Prometheus" }}
{{- end }}
{{- end }}

{{- define "hpc-aggregator.checkConfig" -}}
{{- $config := .Values.config }}
{{- if not (or $config.clusters $config.filesystems $config.cloud) }}
  {{- fail "config: must name a cluster (config.clusters), a file system (config.filesystems) or a cloud (config.cloud)" }}
{{- end }}
{{- if not $config.auth }}
  {{- fail "config.auth: is needed, because the pod listens beyond loopback: {anonymous: [health]}" }}
{{- end }}
{{- $open := dig "anonymous" (list "health") $config.auth }}
{{- if not (has "health" $open) }}
  {{- fail "config.auth.anonymous: must contain health, or the probes fail" }}
{{- end }}
{{- $shown := or .Values.serviceMonitor.basicAuth .Values.serviceMonitor.authorization }}
{{- if and .Values.serviceMonitor.enabled (not (has "metrics" $open)) (not $shown) }}
  {{- fail "serviceMonitor.authorization: is needed to scrape (or serviceMonitor.basicAuth), for config.auth.anonymous does not have metrics" }}
{{- end }}
{{- if dig "server" "listen_address" "" $config }}
  {{- fail "config.server.listen_address: has no effect, the pod listens on :9850; see service.port" }}
{{- end }}
{{- $text := toYaml $config }}
{{- range $key := list "password" "bearer_token" "client_secret" }}
  {{- if regexMatch (printf "(?m)^[ -]*%s:" $key) $text }}
    {{- fail (printf "config: %s would be readable in a ConfigMap: use %s_file and existingSecret" $key $key) }}
  {{- end }}
{{- end }}
{{- if hasKey .Values.extraFiles "hpc-aggregator.yml" }}
  {{- fail "extraFiles.hpc-aggregator.yml: is the configuration itself: use config" }}
{{- end }}
{{- end }}

{{- define "hpc-aggregator.checkState" -}}
{{- $url := include "hpc-aggregator.stateUrl" . }}
{{- $replicas := int .Values.replicaCount }}
{{- if regexMatch "^[a-z]+://[^/@]*:[^/]*@" $url }}
  {{- fail "config.state.url: a password would be readable in a ConfigMap: use config.state.password_file and existingSecret" }}
{{- end }}
{{- if hasPrefix "sqlite:" $url }}
  {{- if gt $replicas 1 }}
    {{- fail (printf "replicaCount: %d replicas cannot share a SQLite state: set config.state.url to a MySQL or PostgreSQL server" $replicas) }}
  {{- end }}
  {{- if not (hasPrefix "sqlite:////var/lib/hpc-aggregator/" $url) }}
    {{- fail "config.state.url: a SQLite file must be in /var/lib/hpc-aggregator, the only folder that can be written" }}
  {{- end }}
{{- else if not (regexMatch "^(mysql|mariadb|postgresql)://" $url) }}
  {{- fail "config.state.url: must begin with sqlite://, mysql://, mariadb:// or postgresql://" }}
{{- else if .Values.persistence.enabled }}
  {{- fail "persistence.enabled: is for a SQLite state, and config.state.url is on a server" }}
{{- end }}
{{- end }}

{{- define "hpc-aggregator.checkTokens" -}}
{{- $mounted := include "hpc-aggregator.tokensFile" . }}
{{- $file := ((.Values.config.auth).tokens).file }}
{{- if and .Values.tokens.existingSecret $file (ne $file $mounted) }}
  {{- fail (printf "config.auth.tokens.file: must be %s, where tokens.existingSecret is mounted, or absent; got %s" $mounted $file) }}
{{- end }}
{{- if and (not .Values.tokens.existingSecret) (hasPrefix "/run/secrets/hpc-aggregator-tokens/" (default "" $file)) }}
  {{- fail "tokens.existingSecret: is needed, config.auth.tokens.file is where it would be mounted" }}
{{- end }}
{{- end }}

{{- define "hpc-aggregator.checkScrape" -}}
{{- $monitor := .Values.serviceMonitor }}
{{- if and $monitor.tlsConfig (not .Values.web.tls) }}
  {{- fail "serviceMonitor.tlsConfig: has no effect without web.tls" }}
{{- end }}
{{- if and $monitor.basicAuth (not .Values.web.existingSecret) }}
  {{- fail "serviceMonitor.basicAuth: is for the users of a web configuration: set web.existingSecret" }}
{{- end }}
{{- if and $monitor.basicAuth $monitor.authorization }}
  {{- fail "serviceMonitor.authorization: cannot be given together with serviceMonitor.basicAuth" }}
{{- end }}
{{- $auth := default dict .Values.config.auth }}
{{- if and $monitor.authorization (not (or .Values.tokens.existingSecret .Values.existingConfigMap $auth.tokens $auth.jwt)) }}
  {{- fail "serviceMonitor.authorization: is for a token that the service knows: set tokens.existingSecret" }}
{{- end }}
{{- end }}
