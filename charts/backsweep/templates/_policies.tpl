{{/* Rules that several network policies have. */}}
{{- define "backsweep.toNames" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
{{- end }}

{{- define "backsweep.toApiServer" -}}
- ports:
    {{- range .Values.networkPolicies.apiServerPorts }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{- define "backsweep.toPrefect" -}}
- ports:
    - {protocol: TCP, port: {{ include "backsweep.prefectPort" . }}}
  {{- if not .Values.prefect.url }}
  to:
    - podSelector:
        matchLabels:
          {{- include "backsweep.selector" (dict "root" . "part" "prefect") | nindent 10 }}
  {{- end }}
{{- end }}
