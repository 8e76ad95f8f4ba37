{{- define "podtask.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "podtask.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "podtask.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "podtask.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "podtask.selectorLabels" -}}
app.kubernetes.io/name: {{ include "podtask.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "podtask.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "podtask.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: podtask
{{- end }}

{{/* Of the page; another name than the operator's, so that no selector of the one finds the other. */}}
{{- define "podtask.uiSelectorLabels" -}}
app.kubernetes.io/name: {{ include "podtask.name" . }}-ui
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "podtask.uiLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "podtask.uiSelectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: podtask
{{- end }}

{{- define "podtask.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "podtask.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "podtask.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* One Lease in the release namespace, named by what is served; the operator makes the same name (lease.py). */}}
{{- define "podtask.leaseName" -}}
podtask-operator
{{- with .Values.watchNamespaces }}-{{ uniq . | sortAlpha | join "," | sha256sum | trunc 8 }}{{ end }}
{{- end }}

{{/* The release as the owners' marks name it; the operator makes the same (process/wiring.py). */}}
{{- define "podtask.owner" -}}
{{ .Release.Namespace }}/{{ include "podtask.leaseName" . }}
{{- end }}

{{- define "podtask.storeSecretName" -}}
{{- .Values.store.existingSecret | default (printf "%s-store" (include "podtask.fullname" .)) }}
{{- end }}

{{/* True, or empty: whether the chart makes the store's Secret from values (demos). */}}
{{- define "podtask.ownsStoreSecret" -}}
{{- if and (eq .Values.store.auth "existingSecret") (not .Values.store.existingSecret) .Values.store.accessKeyId .Values.store.secretAccessKey -}}
true
{{- end }}
{{- end }}

{{- define "podtask.aggregateRoles" -}}
{{- if kindIs "invalid" .Values.rbac.aggregateRoles }}
{{- if not .Values.watchNamespaces }}true{{ end }}
{{- else if .Values.rbac.aggregateRoles }}true{{ end }}
{{- end }}

{{/* A namespace that is served: the release's, or the first watched one. */}}
{{- define "podtask.testNamespace" -}}
{{- if or (not .Values.watchNamespaces) (has .Release.Namespace .Values.watchNamespaces) -}}
{{ .Release.Namespace }}
{{- else -}}
{{ first .Values.watchNamespaces }}
{{- end }}
{{- end }}

{{/* What is set of taskDefaults, as JSON: an empty string, an empty list or `null` is no default, and 0 is one. */}}
{{- define "podtask.taskDefaults" -}}
{{- $set := dict }}
{{- range $key, $value := .Values.taskDefaults }}
{{- if or $value (has (kindOf $value) (list "float64" "int64" "int")) }}{{ $_ := set $set $key $value }}{{ end }}
{{- end }}
{{- toJson $set }}
{{- end }}

{{/* The minors that have an image: `null` in the values removes one. */}}
{{- define "podtask.runnerImages" -}}
{{- $images := dict }}
{{- range $minor, $image := .Values.runner.images }}
{{- if $image }}{{ $_ := set $images $minor $image }}{{ end }}
{{- end }}
{{- toJson $images }}
{{- end }}

{{/* What the schema cannot say in a sentence. Included once, by the Deployment. */}}
{{- define "podtask.checkValues" -}}
{{- with .Values.store }}
{{- if not .bucket }}
{{- fail "store.bucket is missing: podtask keeps results in a bucket. Add --set store.bucket=NAME (an existing S3 bucket)." }}
{{- end }}
{{- if eq .auth "existingSecret" }}
{{- if and .existingSecret (or .accessKeyId .secretAccessKey) }}
{{- fail "store.existingSecret and store.accessKeyId/secretAccessKey are both set: give one of them." }}
{{- else if ne (empty .accessKeyId) (empty .secretAccessKey) }}
{{- fail "store.accessKeyId and store.secretAccessKey belong together: only one of them is set." }}
{{- else if not (or .existingSecret .accessKeyId) }}
{{- fail (printf "The operator has no credentials for the bucket. Add --set store.existingSecret=NAME (a Secret of namespace %s with the keys %s and %s), or --set store.auth=workloadIdentity." $.Release.Namespace .accessKeyIdKey .secretAccessKeyKey) }}
{{- end }}
{{- else if or .existingSecret .accessKeyId .secretAccessKey }}
{{- fail "store.auth=workloadIdentity takes no keys: remove store.existingSecret, store.accessKeyId and store.secretAccessKey." }}
{{- end }}
{{- end }}
{{- if and .Values.driver.enabled (not (or .Values.driver.namespaces .Values.watchNamespaces)) }}
{{- fail (printf "driver.enabled needs driver.namespaces: whoever may create TaskRuns there can use the driver's token. Add --set 'driver.namespaces={NAME}', and not %s, where the bucket's credentials are." .Release.Namespace) }}
{{- end }}
{{- range .Values.warmPool.namespaces }}
{{- if and $.Values.watchNamespaces (not (has . $.Values.watchNamespaces)) }}
{{- fail (printf "warmPool.namespaces has %s, which this release does not serve: nobody would start its pods. Add it to watchNamespaces (%s), or take it out." . (join ", " $.Values.watchNamespaces)) }}
{{- end }}
{{- end }}
{{- $images := include "podtask.runnerImages" . | fromJson }}
{{- if and .Values.warmPool.namespaces .Values.warmPool.python (not (hasKey $images .Values.warmPool.python)) }}
{{- fail (printf "warmPool.python is %s, but runner.images has %s." .Values.warmPool.python (keys $images | sortAlpha | join ", " | default "no image at all")) }}
{{- end }}
{{- if not (hasKey $images .Values.runner.defaultPython) }}
{{- fail (printf "runner.defaultPython is %s, but runner.images has %s." .Values.runner.defaultPython (keys $images | sortAlpha | join ", " | default "no image at all")) }}
{{- end }}
{{- end }}
