{{/* What all pods have in common: Pod Security "restricted", a read-only root, where they may run. */}}
{{- define "backsweep.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ int64 .Values.pods.userId }}
runAsGroup: {{ int64 .Values.pods.userId }}
fsGroup: {{ int64 .Values.pods.userId }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "backsweep.containerSecurity" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- end }}

{{- define "backsweep.podPlace" -}}
enableServiceLinks: false
securityContext:
  {{- include "backsweep.podSecurity" . | nindent 2 }}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* Prefect's credentials, from a Secret that is there already; nothing where there is none. */}}
{{- define "backsweep.prefectAuth" -}}
{{- if .root.Values.prefect.auth.secretName }}
- name: {{ .variable }}
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.prefect.auth.secretName }}
      key: {{ .root.Values.prefect.auth.secretKey }}
{{- end }}
{{- end }}
