{{/* Names: the release's own, and those of its parts. */}}
{{- define "backsweep.name" -}}
{{- $name := ternary .Release.Name (printf "%s-backsweep" .Release.Name) (contains "backsweep" .Release.Name) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "backsweep.part" -}}
{{- printf "%s-%s" (include "backsweep.name" .root) .part -}}
{{- end }}

{{/* What selects the pods of a part; never changes between versions, since a Deployment's selector cannot. */}}
{{- define "backsweep.selector" -}}
app.kubernetes.io/name: backsweep
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "backsweep.labels" -}}
{{ include "backsweep.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* The namespaces whose sweeps are served, with commas between: the release's own unless values name others. */}}
{{- define "backsweep.namespaces" -}}
{{- .Values.watchNamespaces | default (list .Release.Namespace) | join "," -}}
{{- end }}

{{/* Where the Prefect API is, and its port. */}}
{{- define "backsweep.prefectUrl" -}}
{{- if .Values.prefect.url -}}
{{- .Values.prefect.url | trimSuffix "/" -}}
{{- else -}}
{{- printf "http://%s.%s.svc:4200/api" (include "backsweep.part" (dict "root" . "part" "prefect")) .Release.Namespace -}}
{{- end -}}
{{- end }}

{{- define "backsweep.prefectPort" -}}
{{- $address := urlParse (include "backsweep.prefectUrl" .) -}}
{{- $port := regexFind ":[0-9]+$" $address.host | trimPrefix ":" -}}
{{- $port | default (ternary "443" "80" (eq $address.scheme "https")) -}}
{{- end }}
