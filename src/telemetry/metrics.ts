import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import type { WatchOperation } from "../audit.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Exoskeleton } from "../exoskeleton/exoskeleton.ts";

/** Longer than any probe takes by itself; a scrape is given up by then. */
const PROBE_MS = 5_000;
/** From a look at a flag to a removal of much data. */
const SECONDS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900];

const refusalReasons = [
  "host",
  "origin",
  "unauthenticated",
  "forbidden",
  "issuer",
  "path",
  "stopping",
  "rate",
] as const;

/** Why a request over HTTP was not served. */
export type RefusalReason = (typeof refusalReasons)[number];

/** What the server counts about itself. No label holds a name that a caller chooses. */
export interface Metrics {
  /** Counts operations and times their steps. */
  readonly watch: WatchOperation;
  /** The same cluster, whose locks are counted while they are held. */
  countLocks(cluster: Cluster["lock"]): Cluster["lock"];
  refused(reason: RefusalReason): void;
  /** In the text format of Prometheus. */
  text(): Promise<string>;
  readonly contentType: string;
}

export interface MetricsOptions {
  readonly version: string;
  /** The services that are asked at each scrape. */
  readonly exoskeleton: () => Exoskeleton | undefined;
}

/** Only for a server that shows them: this module is the one that loads the library. */
export function createMetrics({ version, exoskeleton }: MetricsOptions): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "tentacular_build_info",
    help: "1, with the version of the server.",
    labelNames: ["version"],
    registers,
  }).set({ version }, 1);
  const operations = new Counter({
    name: "tentacular_operations_total",
    help: "Operations that have ended, by what they were and how they ended: ok, or the code of the error.",
    labelNames: ["operation", "outcome"],
    registers,
  });
  const durations = new Histogram({
    name: "tentacular_operation_duration_seconds",
    help: "How long an operation took, whatever its outcome.",
    labelNames: ["operation"],
    buckets: SECONDS,
    registers,
  });
  const steps = new Histogram({
    name: "tentacular_step_duration_seconds",
    help: "How long a step of an operation took, whatever its outcome.",
    labelNames: ["operation", "step"],
    buckets: SECONDS,
    registers,
  });
  const running = new Gauge({
    name: "tentacular_operations_running",
    help: "Operations under way.",
    labelNames: ["operation"],
    registers,
  });
  const locks = new Gauge({
    name: "tentacular_locks_held",
    help: "Locks of tentacles that this server holds.",
    registers,
  });
  const refusals = new Counter({
    name: "tentacular_http_requests_refused_total",
    help: "Requests over HTTP that were not served, by why.",
    labelNames: ["reason"],
    registers,
  });
  // Shown from the start, so that a rate over the first refusal is right.
  refusalReasons.forEach((reason) => refusals.inc({ reason }, 0));
  const available = new Gauge({
    name: "tentacular_backend_available",
    help: "1 when a configured service is usable now, else 0.",
    labelNames: ["service"],
    registers,
    collect: probe,
  });
  const waiting = new Gauge({
    name: "tentacular_backend_calls_waiting",
    help: "Calls of the service whose turn has not come: eight are under way.",
    labelNames: ["service"],
    registers,
  });
  const latency = new Gauge({
    name: "tentacular_backend_probe_seconds",
    help: "How long the service took to answer, or to be given up.",
    labelNames: ["service"],
    registers,
  });

  async function probe(): Promise<void> {
    const enabled = exoskeleton()?.services.filter((service) => service.enabled) ?? [];
    const signal = AbortSignal.timeout(PROBE_MS);
    await Promise.all(
      enabled.map(async ({ definition: { service }, prober, waiting: queued }) => {
        waiting.set({ service }, queued());
        const seen = await prober.glance(signal).catch(() => undefined);
        available.set({ service }, seen?.available === true ? 1 : 0);
        latency.set({ service }, (seen?.latencyMs ?? PROBE_MS) / 1_000);
      }),
    );
  }

  return {
    watch: ({ operation }) => {
      running.inc({ operation });
      return ({ step, outcome, ms }) => {
        if (step !== undefined) {
          steps.observe({ operation, step }, ms / 1_000);
          return;
        }
        running.dec({ operation });
        operations.inc({ operation, outcome });
        durations.observe({ operation }, ms / 1_000);
      };
    },
    countLocks: (take) => async (identity, operation, signal) => {
      const lock = await take(identity, operation, signal);
      locks.inc();
      let held = true;
      return {
        signal: lock.signal,
        async release() {
          if (held) locks.dec();
          held = false;
          await lock.release();
        },
      };
    },
    refused: (reason) => refusals.inc({ reason }),
    text: () => registry.metrics(),
    contentType: registry.contentType,
  };
}
