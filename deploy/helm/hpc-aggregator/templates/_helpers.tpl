{{- define "hpc-aggregator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "hpc-aggregator.fullname" -}}
{{- $name := include "hpc-aggregator.name" . -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 57 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 57 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 57 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "hpc-aggregator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "hpc-aggregator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "hpc-aggregator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "hpc-aggregator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* The test pod has a name of its own: the Service must not select it. */ -}}
{{- define "hpc-aggregator.testLabels" -}}
app.kubernetes.io/name: {{ include "hpc-aggregator.name" . | trunc 58 | trimSuffix "-" }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "hpc-aggregator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "hpc-aggregator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "hpc-aggregator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "hpc-aggregator.podSecurityContext" -}}
{{- with .Values.podSecurityContext }}
{{- toYaml . }}
{{ end -}}
fsGroupChangePolicy: OnRootMismatch
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "hpc-aggregator.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
{{- end }}

{{- define "hpc-aggregator.stateUrl" -}}
{{- dig "state" "url" "sqlite:////var/lib/hpc-aggregator/state.db" .Values.config }}
{{- end }}

{{- /* "true" when the state is a file in the pod; of an existing ConfigMap this is assumed. */ -}}
{{- define "hpc-aggregator.stateInPod" -}}
{{- if or .Values.existingConfigMap (hasPrefix "sqlite:" (include "hpc-aggregator.stateUrl" .)) }}true{{ end }}
{{- end }}

{{- define "hpc-aggregator.tokensFile" -}}
/run/secrets/hpc-aggregator-tokens/{{ .Values.tokens.key }}
{{- end }}

{{- /* The configuration, and in it where the chart mounts the tokens. */ -}}
{{- define "hpc-aggregator.config" -}}
{{- $config := deepCopy .Values.config }}
{{- if .Values.tokens.existingSecret }}
{{- $tokens := dict "tokens" (dict "file" (include "hpc-aggregator.tokensFile" .)) }}
{{- $_ := set $config "auth" (merge $tokens (default dict $config.auth)) }}
{{- end }}
{{- $server := default dict $config.server }}
{{- $name := include "hpc-aggregator.fullname" . }}
{{- $namespaced := printf "%s.%s" $name .Release.Namespace }}
{{- $names := list $name $namespaced (printf "%s.svc" $namespaced) (printf "%s.svc.cluster.local" $namespaced) }}
{{- $_ := set $config "server" (merge (dict "allowed_hosts" (concat $names (default list $server.allowed_hosts))) $server) }}
{{- toYaml $config }}
{{- end }}

{{- /* Where people reach the service, for links. */ -}}
{{- define "hpc-aggregator.publicUrl" -}}
{{- .Values.dashboards.serviceUrl | default (dig "server" "external_url" "" .Values.config) | trimSuffix "/" }}
{{- end }}

{{- define "hpc-aggregator.scheme" -}}
{{ if .Values.web.tls }}https{{ else }}http{{ end }}
{{- end }}
