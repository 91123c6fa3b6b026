{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
app.kubernetes.io/part-of: multisig
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "operator.selector" -}}
app.kubernetes.io/name: multisig-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "operator.namespaces" -}}
{{- default (list .Release.Namespace) .Values.namespaces | toJson -}}
{{- end -}}
