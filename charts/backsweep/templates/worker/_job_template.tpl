{{/* What flow Jobs are made from: generated from operator/backsweep_operator/build/flow.py, with this release's user. */}}
{{- define "backsweep.jobTemplate" -}}
{{- $template := .Files.Get "files/base-job-template.json" | fromJson }}
{{- $pod := $template.job_configuration.job_manifest.spec.template.spec }}
{{- range list "runAsUser" "runAsGroup" "fsGroup" }}
{{- $_ := set $pod.securityContext . (int64 $.Values.pods.userId) }}
{{- end }}
{{- toPrettyJson $template }}
{{- end }}
