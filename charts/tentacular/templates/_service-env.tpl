{{/* The plain settings of each service that is on: what has no value here keeps the server's default. */}}
{{- define "tentacular.serviceEnv" -}}
{{- $exo := .Values.exoskeleton -}}
{{- $env := list -}}
{{- if $exo.enabled -}}
{{- with $exo.postgres -}}{{- if .host -}}
{{- $env = concat $env (list
  (list "TENTACULAR_POSTGRES_ADMIN_HOST" .host)
  (list "TENTACULAR_POSTGRES_ADMIN_PORT" .port)
  (list "TENTACULAR_POSTGRES_ADMIN_DATABASE" .database)
  (list "TENTACULAR_POSTGRES_ADMIN_USER" .user)
  (list "TENTACULAR_POSTGRES_SSLMODE" .sslMode)
  (list "TENTACULAR_POSTGRES_HOST" .tentacleHost)
  (list "TENTACULAR_POSTGRES_PORT" .tentaclePort)) -}}
{{- end -}}{{- end -}}
{{- with $exo.nats -}}{{- if .url -}}
{{- $env = concat $env (list
  (list "TENTACULAR_NATS_URL" .url)
  (list "TENTACULAR_NATS_TENTACLE_URL" .tentacleUrl)
  (list "TENTACULAR_NATS_TRUST_DOMAIN" .trustDomain)) -}}
{{- with .accountsConfigMap -}}{{- if .name -}}
{{- $env = append $env (list "TENTACULAR_NATS_ACCOUNTS_CONFIGMAP" (printf "%s/%s/%s" .namespace .name .key)) -}}
{{- end -}}{{- end -}}
{{- end -}}{{- end -}}
{{- with $exo.rustfs -}}{{- if .endpoint -}}
{{- $env = concat $env (list
  (list "TENTACULAR_RUSTFS_ENDPOINT" .endpoint)
  (list "TENTACULAR_RUSTFS_TENTACLE_ENDPOINT" .tentacleEndpoint)
  (list "TENTACULAR_RUSTFS_BUCKET" .bucket)
  (list "TENTACULAR_RUSTFS_REGION" .region)
  (list "TENTACULAR_RUSTFS_DIALECT" .dialect)
  (list "TENTACULAR_RUSTFS_IAM_ENDPOINT" .iamEndpoint)
  (list "TENTACULAR_RUSTFS_CREATE_BUCKET" .createBucket)) -}}
{{- end -}}{{- end -}}
{{- with $exo.spire -}}{{- if .enabled -}}
{{- $env = concat $env (list
  (list "TENTACULAR_EXOSKELETON_SPIRE_ENABLED" "true")
  (list "TENTACULAR_SPIRE_CLASS_NAME" .className)
  (list "TENTACULAR_SPIRE_TRUST_DOMAIN" .trustDomain)
  (list "TENTACULAR_SPIFFE_CSI_DRIVER" .csiDriver)) -}}
{{- end -}}{{- end -}}
{{- end -}}
{{- include "tentacular.env" $env -}}
{{- end -}}
