{{- define "member.labels" -}}
app.kubernetes.io/name: {{ .Values.role }}
app.kubernetes.io/part-of: multisig
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* Cluster-scoped names include the namespace, so that two members in one cluster do not share an object. */ -}}
{{- define "member.clusterRole" -}}
multisig-hub:{{ .Release.Namespace }}
{{- end -}}
