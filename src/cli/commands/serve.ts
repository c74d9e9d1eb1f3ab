import { startServe } from "../../serve.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import type { CommandIo } from "../io.ts";

/** Serves MCP over HTTP until a signal comes; calls that are running then may end. */
export async function run(_options: object, io: CommandIo): Promise<ExitCode> {
  const { output, signal } = io;
  const server = await startServe();
  try {
    const { url, metricsUrl, tokenFile } = server;
    await output.result(
      {
        url,
        ...(metricsUrl !== undefined && { metrics_url: metricsUrl }),
        ...(tokenFile !== undefined && { token_file: tokenFile }),
      },
      () =>
        [
          `Serving at ${url}.`,
          ...(metricsUrl === undefined ? [] : [`Metrics at ${metricsUrl}.`]),
          ...(tokenFile === undefined ? [] : [`Callers send the token in ${tokenFile}.`]),
        ].join("\n"),
    );
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    output.note("Stopping: running calls may end …");
  } finally {
    await server.close();
  }
  return exitCodes.ok;
}
