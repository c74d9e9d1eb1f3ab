{{/*
Everything that the server reads from files. Takes the root; gives {volume: {secret or configMap, files: [{key, env}]}} as JSON, where env is
the setting that names the file. A file is /etc/tentacular/<volume>/<key>: never by subPath, as such a one does not change with its source.
*/}}
{{- define "tentacular.mounts" -}}
{{- $name := include "tentacular.fullname" . -}}
{{- $mounts := dict -}}
{{- if include "tentacular.hasToken" . -}}
{{- $_ := set $mounts "token" (dict "secret" (.Values.auth.existingSecret | default (printf "%s-token" $name)) "files" (list (dict "key" "token" "env" "TENTACULAR_HTTP_TOKEN_FILE"))) -}}
{{- end -}}
{{- with .Values.auth.tokensSecret -}}
{{- $_ := set $mounts "tokens" (dict "secret" . "files" (list (dict "key" "tokens" "env" "TENTACULAR_HTTP_TOKENS_FILE"))) -}}
{{- end -}}
{{- if include "tentacular.hasPolicy" . -}}
{{- $_ := set $mounts "policy" (dict "configMap" (.Values.auth.policy.existingConfigMap | default (printf "%s-policy" $name)) "files" (list (dict "key" "policy.yaml" "env" "TENTACULAR_HTTP_POLICY_FILE"))) -}}
{{- end -}}
{{- with .Values.http.tlsSecret -}}
{{- $_ := set $mounts "tls" (dict "secret" . "files" (list (dict "key" "tls.crt" "env" "TENTACULAR_HTTP_TLS_CERT_FILE") (dict "key" "tls.key" "env" "TENTACULAR_HTTP_TLS_KEY_FILE"))) -}}
{{- end -}}
{{- range $service, $files := include "tentacular.credentials" . | fromJson -}}
{{- $_ := set $mounts $service (dict "secret" ((index $.Values.exoskeleton $service).existingSecret | default (printf "%s-%s" $name $service)) "files" $files) -}}
{{- end -}}
{{- with .Values.exoskeleton -}}{{- if and .enabled .nats.url .nats.clientTlsSecret -}}
{{- $_ := set $mounts "nats-client" (dict "secret" .nats.clientTlsSecret "files" (list (dict "key" "tls.crt" "env" "TENTACULAR_NATS_CLIENT_CERT_FILE") (dict "key" "tls.key" "env" "TENTACULAR_NATS_CLIENT_KEY_FILE"))) -}}
{{- end -}}{{- end -}}
{{- $authorities := list -}}
{{- range $of, $authority := include "tentacular.authorities" . | fromJson -}}
{{- $authorities = append $authorities (dict "key" (printf "%s.pem" $of) "env" $authority.env) -}}
{{- end -}}
{{- if $authorities -}}
{{- $_ := set $mounts "authorities" (dict "configMap" (printf "%s-authorities" $name) "files" $authorities) -}}
{{- end -}}
{{- $mounts | toJson -}}
{{- end -}}

{{/* Is there a token for all: one that was asked for, or else the one that is made where nothing says who calls? */}}
{{- define "tentacular.hasToken" -}}
{{- with .Values.auth -}}
{{- if or .token .existingSecret (not (or .tokensSecret .oidc.issuer)) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* An empty list of rules is one too. */}}
{{- define "tentacular.hasPolicy" -}}
{{- with .Values.auth.policy -}}
{{- if or .existingConfigMap (kindIs "slice" .rules) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* The authorities that are not everybody's: {whose: {env, pem}} as JSON. */}}
{{- define "tentacular.authorities" -}}
{{- $found := dict -}}
{{- if .Values.exoskeleton.enabled -}}
{{- range $service, $on := dict "postgres" "host" "nats" "url" "rustfs" "endpoint" -}}
{{- $values := index $.Values.exoskeleton $service -}}
{{- if and (index $values $on) $values.ca -}}
{{- $_ := set $found $service (dict "env" (printf "TENTACULAR_%s_CA_FILE" (upper $service)) "pem" $values.ca) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .Values.auth.oidc -}}{{- if and .issuer .ca -}}
{{- $_ := set $found "oidc" (dict "env" "NODE_EXTRA_CA_CERTS" "pem" .ca) -}}
{{- end -}}{{- end -}}
{{- with .Values.tracing -}}{{- if and .endpoint .ca -}}
{{- $_ := set $found "collector" (dict "env" "OTEL_EXPORTER_OTLP_CERTIFICATE" "pem" .ca) -}}
{{- end -}}{{- end -}}
{{- $found | toJson -}}
{{- end -}}
