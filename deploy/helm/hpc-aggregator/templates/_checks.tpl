{{- /* What the schema cannot say well: every message begins with the property to change. */ -}}
{{- define "hpc-aggregator.check" -}}
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
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.ingressFrom) }}
  {{- fail "networkPolicy.ingressFrom: must say who may connect, such as the namespace of Prometheus" }}
{{- end }}
{{- end }}

{{- define "hpc-aggregator.checkConfig" -}}
{{- $config := .Values.config }}
{{- if not (or $config.clusters $config.filesystems) }}
  {{- fail "config: must name a cluster (config.clusters) or a file system (config.filesystems)" }}
{{- end }}
{{- if not $config.auth }}
  {{- fail "config.auth: is needed, because the pod listens beyond loopback: {anonymous: [health, metrics]}" }}
{{- end }}
{{- $open := dig "anonymous" (list "health" "metrics") $config.auth }}
{{- if not (has "health" $open) }}
  {{- fail "config.auth.anonymous: must contain health, or the probes fail" }}
{{- end }}
{{- if and .Values.serviceMonitor.enabled (not (has "metrics" $open)) }}
  {{- fail "config.auth.anonymous: must contain metrics, or serviceMonitor cannot scrape" }}
{{- end }}
{{- if dig "server" "listen_address" "" $config }}
  {{- fail "config.server.listen_address: has no effect, the pod listens on :9850; see service.port" }}
{{- end }}
{{- $text := toYaml $config }}
{{- range $key := list "password" "bearer_token" }}
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
