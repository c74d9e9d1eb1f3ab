import { type RunningUp, startUp } from "../../up.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import type { CommandIo } from "../io.ts";
import { renderServices } from "../render/services.ts";

/** Runs this machine's services and server until a signal comes. */
export async function run(_options: object, io: CommandIo): Promise<ExitCode> {
  const { config, output, signal } = io;
  const up = await startUp({ config, onProgress: (message) => output.note(output.noteStyle.dim(message)) });
  try {
    const services = await up.services;
    await output.result({ url: up.url, token_file: up.tokenFile, services }, () =>
      [
        renderServices(services, output.style),
        "",
        `Serving at ${up.url}. Every tntc command on this machine finds it.`,
        `Next, in another terminal: tntc init my-tentacle${withRunning(services)}`,
        "Ctrl-C ends it all; the data stays.",
      ].join("\n"),
    );
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    });
    output.note("Stopping tentacles and services …");
  } finally {
    await up.close();
  }
  return exitCodes.ok;
}

/** The option that gives a new tentacle every service that runs here. */
function withRunning(services: Awaited<RunningUp["services"]>): string {
  const running = Object.entries(services).flatMap(([name, { state }]) => (state === "running" ? name : []));
  return running.length === 0 ? "" : ` --with ${running.join(",")}`;
}
