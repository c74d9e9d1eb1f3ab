{{- define "tentacular.fullname" -}}
{{- default (ternary .Release.Name (printf "%s-tentacular" .Release.Name) (contains "tentacular" .Release.Name)) .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "tentacular.serviceAccount" -}}
{{- default (ternary (include "tentacular.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{/* The name label is fixed: the NetworkPolicy of every tentacle admits the server by it. */}}
{{- define "tentacular.selector" -}}
app.kubernetes.io/name: tentacular
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tentacular.labels" -}}
{{ include "tentacular.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "tentacular.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* Names under which the server answers. */}}
{{- define "tentacular.allowedHosts" -}}
{{- $name := include "tentacular.fullname" . -}}
{{- $namespace := .Release.Namespace -}}
{{- $hosts := list $name (printf "%s.%s" $name $namespace) (printf "%s.%s.svc" $name $namespace) (printf "%s.%s.svc.cluster.local" $name $namespace) -}}
{{- if .Values.ingress.enabled -}}{{- $hosts = append $hosts .Values.ingress.host -}}{{- end -}}
{{- concat $hosts .Values.http.allowedHosts | uniq | join "," -}}
{{- end -}}

{{/*
What each service needs beside plain settings, as files: for each the setting that names the file, the key in the operator's
Secret or in ours, and the value when it is ours. Takes the root; gives {service: [{env, key, value}]} as JSON.
*/}}
{{- define "tentacular.credentials" -}}
{{- $exo := .Values.exoskeleton -}}
{{- $files := dict -}}
{{- if $exo.enabled -}}
{{- with $exo.postgres -}}{{- if .host -}}
{{- $_ := set $files "postgres" (list (dict "env" "TENTACULAR_POSTGRES_ADMIN_PASSWORD_FILE" "key" "password" "value" .password)) -}}
{{- end -}}{{- end -}}
{{- with $exo.nats -}}{{- if .url -}}
{{- $values := dict "operator-signing-key" .operatorSigningKey "system-creds" .systemCreds "derivation-key" .derivationKey "system-nkey" .systemNkey -}}
{{- if not (or .existingSecret .accountsConfigMap.name (and .operatorSigningKey .systemCreds)) -}}
{{- fail "exoskeleton.nats: set existingSecret, or operatorSigningKey with systemCreds (operator mode), or accountsConfigMap" -}}
{{- end -}}
{{- $list := list -}}
{{- range $key, $value := $values -}}
{{- $used := ternary (has $key $exo.nats.secretKeys) (ne $value "") (ne $exo.nats.existingSecret "") -}}
{{- if $used -}}
{{- $list = append $list (dict "env" (printf "TENTACULAR_NATS_%s_FILE" ($key | upper | replace "-" "_")) "key" $key "value" $value) -}}
{{- end -}}
{{- end -}}
{{- if $list -}}{{- $_ := set $files "nats" $list -}}{{- end -}}
{{- end -}}{{- end -}}
{{- with $exo.rustfs -}}{{- if .endpoint -}}
{{- $_ := set $files "rustfs" (list (dict "env" "TENTACULAR_RUSTFS_ACCESS_KEY_FILE" "key" "access-key" "value" .accessKey) (dict "env" "TENTACULAR_RUSTFS_SECRET_KEY_FILE" "key" "secret-key" "value" .secretKey)) -}}
{{- end -}}{{- end -}}
{{- end -}}
{{- $files | toJson -}}
{{- end -}}
