import { defaultTextMapGetter, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";
import type { WatchOperation } from "../audit.ts";
import { within } from "../within.ts";

/** A collector that does not answer holds up the end of the server no longer. */
const FLUSH_MS = 5_000;

/** Spans of operations, on their way to a collector. */
export interface Tracing {
  /** Makes a span of each operation and of each of its steps, in the trace of its caller where there is one. */
  readonly watch: WatchOperation;
  /** Sends what is not sent yet. */
  close(): Promise<void>;
}

/**
 * Sends spans by OTLP (HTTP, JSON) to where the `OTEL_EXPORTER_OTLP_*` variables say, which the library itself reads. Only
 * for a server that is told to: this module is the one that loads it. Nothing global is set, and nothing but our operations is traced.
 */
export function startTracing(version: string): Tracing {
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": "tentacular", "service.version": version })
      // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())],
  });
  const tracer = provider.getTracer("tentacular", version);
  const propagator = new W3CTraceContextPropagator();

  return {
    watch({ operation, id, enclave, tentacle, dryRun }, call) {
      const parent = propagator.extract(ROOT_CONTEXT, call.trace ?? {}, defaultTextMapGetter);
      const attributes = {
        "tentacular.operation": operation,
        "tentacular.operation.id": id,
        ...(enclave !== undefined && { "tentacular.enclave": enclave }),
        ...(tentacle !== undefined && { "tentacular.tentacle": tentacle }),
        ...(dryRun === true && { "tentacular.dry_run": true }),
      };
      const whole = tracer.startSpan(operation, { kind: SpanKind.SERVER, attributes }, parent);
      const inside = trace.setSpan(parent, whole);
      return ({ time, step, outcome, ms }) => {
        const startTime = Date.parse(time);
        const span =
          step === undefined
            ? whole
            : tracer.startSpan(
                `${operation} ${step}`,
                { startTime, attributes: { ...attributes, "tentacular.step": step } },
                inside,
              );
        span.setAttribute("tentacular.outcome", outcome);
        if (outcome !== "ok") span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
        span.end(startTime + ms);
      };
    },
    close: () => within(FLUSH_MS, provider.shutdown()),
  };
}
