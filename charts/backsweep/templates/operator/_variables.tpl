{{/* The operator's settings, one variable each (operator/backsweep_operator/settings.py). */}}
{{- define "backsweep.operatorVariables" -}}
{{- $sweeps := .Values.sweeps }}
{{- $settings := dict
  "BACKSWEEP_WATCH_NAMESPACES" (include "backsweep.namespaces" .)
  "BACKSWEEP_LEASE_NAME" (include "backsweep.part" (dict "root" . "part" "operator"))
  "BACKSWEEP_LEASE_SECONDS" .Values.operator.leaseSeconds
  "BACKSWEEP_RESYNC_SECONDS" .Values.operator.resyncSeconds
  "BACKSWEEP_ORPHANS_SECONDS" .Values.operator.orphansSeconds
  "BACKSWEEP_PASSES" .Values.operator.passes
  "BACKSWEEP_LOG_LEVEL" .Values.operator.logLevel
  "BACKSWEEP_IMAGE" (.Values.images.sweep | default (printf "backsweep-pipeline:%s" .Chart.AppVersion))
  "BACKSWEEP_IMAGE_PULL_POLICY" .Values.images.pullPolicy
  "BACKSWEEP_RAY_VERSION" $sweeps.rayVersion
  "BACKSWEEP_WORK_POOL" .Values.prefect.workPool
  "BACKSWEEP_PREFECT_UI_URL" .Values.prefect.uiUrl
  "BACKSWEEP_MAX_CONCURRENT_SWEEPS" $sweeps.maxConcurrent
  "BACKSWEEP_TTL_SECONDS" $sweeps.ttlSeconds
  "BACKSWEEP_POLL_SECONDS" $sweeps.pollSeconds
  "BACKSWEEP_STATUS_SECONDS" $sweeps.statusSeconds
  "BACKSWEEP_RETRY_SECONDS" $sweeps.retrySeconds
  "BACKSWEEP_LONGEST_RETRY_SECONDS" $sweeps.longestRetrySeconds
  "BACKSWEEP_USER_ID" .Values.pods.userId
  "BACKSWEEP_FLOW_CPU" $sweeps.flow.cpu
  "BACKSWEEP_FLOW_MEMORY" $sweeps.flow.memory
  "BACKSWEEP_STORAGE_URI" $sweeps.storage.uri
  "BACKSWEEP_STORAGE_ENDPOINT_URL" $sweeps.storage.endpointUrl
  "BACKSWEEP_STORAGE_REGION" $sweeps.storage.region
  "BACKSWEEP_STORAGE_SECRET" $sweeps.storage.secretName
  "BACKSWEEP_STORAGE_SERVICE_ACCOUNT" $sweeps.storage.serviceAccountName
  "BACKSWEEP_COPIED_LABELS" ($sweeps.copiedLabels | join ",")
  "PREFECT_API_URL" (include "backsweep.prefectUrl" .)
}}
{{- range $name, $value := $settings }}
{{- if or (ne (toString $value) "") (eq $name "BACKSWEEP_COPIED_LABELS") }}
- name: {{ $name }}
  value: {{ kindIs "float64" $value | ternary (int64 $value) $value | toString | quote }}
{{- end }}
{{- end }}
{{- end }}
