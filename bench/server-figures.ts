/** What a server's own metrics say of its process at one moment. */
export interface ServerFigures {
  readonly rssMiB: number;
  readonly heapMiB: number;
  readonly openFiles: number;
  /** Sockets, timers and whatever else keeps it alive. */
  readonly resources: number;
  /** Since it started, all cores together. */
  readonly cpuSeconds: number;
}

const MIB = 2 ** 20;

/** Reads them as Prometheus would. */
export async function readFigures(metricsUrl: string): Promise<ServerFigures> {
  const text = await (await fetch(metricsUrl)).text();
  const of = (name: string): number =>
    [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "gm"))].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    );
  return {
    rssMiB: of("process_resident_memory_bytes") / MIB,
    heapMiB: of("nodejs_heap_size_used_bytes") / MIB,
    openFiles: of("process_open_fds"),
    resources: of("nodejs_active_resources_total"),
    cpuSeconds: of("process_cpu_seconds_total"),
  };
}
