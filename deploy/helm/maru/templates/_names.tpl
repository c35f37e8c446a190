{{- /* "maru" alone as a Service's name would set MARU_PORT and MARU_SERVICE_HOST in every pod; links are off in ours, and the name says chat. */ -}}
{{- define "maru.name" -}}
{{- printf "%s-chat" .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "maru.selector" -}}
app.kubernetes.io/name: maru
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "maru.labels" -}}
{{ include "maru.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "maru.probe" -}}
httpGet:
  path: {{ .path }}
  port: admin
  scheme: {{ ternary "HTTPS" "HTTP" (ne .root.Values.tls.secretName "") }}
{{- end -}}
