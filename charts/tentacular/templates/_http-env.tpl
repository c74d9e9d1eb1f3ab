{{/* How the server listens and to whom, and where it sends traces: what has no value here keeps the server's default. */}}
{{- define "tentacular.httpEnv" -}}
{{- $http := .Values.http -}}
{{- $env := list
  (list "TENTACULAR_HTTP_HOST" $http.host)
  (list "TENTACULAR_HTTP_PORT" 8080)
  (list "TENTACULAR_HTTP_URL" (include "tentacular.url" .))
  (list "TENTACULAR_HTTP_ALLOWED_HOSTS" (include "tentacular.allowedHosts" .))
  (list "TENTACULAR_HTTP_RATE_LIMIT" (int64 $http.rateLimit))
  (list "TENTACULAR_HTTP_CONNECTIONS_PER_ADDRESS" ($http.connectionsPerAddress | default (ternary 1024 "" .Values.ingress.enabled))) -}}
{{- if $http.readOnly -}}{{- $env = append $env (list "TENTACULAR_HTTP_READ_ONLY" true) -}}{{- end -}}
{{- with .Values.auth.oidc -}}{{- if .issuer -}}
{{- if not (include "tentacular.hasPolicy" $) -}}
{{- fail "auth.oidc: set auth.policy too, as whoever has an account at the provider would otherwise have every right here" -}}
{{- end -}}
{{- if not (include "tentacular.url" $) -}}
{{- fail "auth.oidc: set http.url too, as access tokens must be made for the address of this server" -}}
{{- end -}}
{{- $env = concat $env (list
  (list "TENTACULAR_OIDC_ISSUER" .issuer)
  (list "TENTACULAR_OIDC_AUDIENCE" .audience)
  (list "TENTACULAR_OIDC_SCOPES" (join "," .scopes))) -}}
{{- end -}}{{- end -}}
{{- if .Values.metrics.enabled -}}
{{- $env = concat $env (list (list "TENTACULAR_METRICS_HOST" $http.host) (list "TENTACULAR_METRICS_PORT" .Values.metrics.port)) -}}
{{- end -}}
{{- with .Values.tracing -}}{{- if .endpoint -}}
{{- $attributes := list -}}
{{- range $key, $value := .resourceAttributes -}}{{- $attributes = append $attributes (printf "%s=%s" $key (urlquery $value | replace "+" "%20")) -}}{{- end -}}
{{- $env = concat $env (list
  (list "OTEL_EXPORTER_OTLP_ENDPOINT" .endpoint)
  (list "OTEL_RESOURCE_ATTRIBUTES" (join "," $attributes))) -}}
{{- if not (kindIs "invalid" .sampleRatio) -}}
{{- $env = concat $env (list (list "OTEL_TRACES_SAMPLER" "parentbased_traceidratio") (list "OTEL_TRACES_SAMPLER_ARG" .sampleRatio)) -}}
{{- end -}}
{{- end -}}{{- end -}}
{{- include "tentacular.env" $env -}}
{{- with .Values.tracing -}}{{- if and .endpoint .headersSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: { secretKeyRef: { name: {{ .headersSecret }}, key: headers } }
{{- end -}}{{- end -}}
{{- end -}}

{{/* Entries of a pod's env, of a list of [name, value]; those without a value are left out. */}}
{{- define "tentacular.env" -}}
{{- range . }}
{{- $value := index . 1 | toString }}
{{- if not (has $value (list "" "<nil>")) }}
- { name: {{ index . 0 }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}
{{- end -}}

{{/* How clients reach the server, where that is known. */}}
{{- define "tentacular.url" -}}
{{- with .Values.ingress -}}
{{- $.Values.http.url | default (ternary (printf "https://%s/mcp" .host) "" (and .enabled (ne .tlsSecret ""))) -}}
{{- end -}}
{{- end -}}

{{/* What the port speaks: also its name. */}}
{{- define "tentacular.scheme" -}}
{{- ternary "https" "http" (ne .Values.http.tlsSecret "") -}}
{{- end -}}
