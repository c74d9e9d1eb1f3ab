/** The engine: what runs a tentacle, on Deno. Started as `command.ts` says. */
import { catchStrays, deno } from "./deno.ts";
import { createEngine } from "./engine.ts";
import { describeFailure } from "./failure.ts";
import { handle } from "./http.ts";
import { createLog } from "./log.ts";
import { createSecrets } from "./secrets.ts";

function option(name: string): string | undefined {
  const prefix = `--${name}=`;
  return deno.args.find((arg) => arg.startsWith(prefix))?.slice(prefix.length);
}

const appDir = option("app") ?? "/app";
const listen = option("listen") ?? "0.0.0.0:8080";
const graceMs = Number(option("grace") ?? 25) * 1_000;
const colon = listen.lastIndexOf(":");
const { exit } = deno;

const secrets = createSecrets(appDir);
const log = createLog(secrets.redact);

// A promise that a node forgot, or a library's timer, must not end the runs of others.
catchStrays((error) => {
  log.error("an error that nobody waits for", { error: describeFailure(error).message });
});

async function main(): Promise<void> {
  const engine = createEngine({ appDir, secrets, log });
  // At once, so that who asks for its health hears why it is not ready.
  const server = deno.serve(
    {
      hostname: listen.slice(0, colon).replace(/^\[|\]$/g, ""),
      port: Number(listen.slice(colon + 1)),
      onListen: () => {},
      onError: (error) => {
        log.error("a request failed", { error: describeFailure(error).message });
        return new Response("internal error", { status: 500 });
      },
    },
    (request) => handle(request, engine),
  );
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    deno.addSignalListener(signal, () => {
      log.info("stopping", { signal });
      void Promise.all([server.shutdown(), engine.stop(graceMs)]).finally(() => exit(0));
      // Whatever still hangs then: the end comes.
      setTimeout(() => exit(0), graceMs + 5_000);
    });
  await engine.start();
}

main().catch((error: unknown) => {
  log.error(error instanceof Error ? error.message : String(error), {
    ...(error instanceof Error && { stack: error.stack }),
  });
  // Whoever supervises shows these lines as the reason.
  exit(1);
});
