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
const webhooks = option("webhooks");
const graceMs = Number(option("grace") ?? 25) * 1_000;
const { exit } = deno;

const secrets = createSecrets(appDir);
const log = createLog(secrets.redact);

// A promise that a node forgot, or a library's timer, must not end the runs of others.
catchStrays((error) => {
  log.error("an error that nobody waits for", { error: describeFailure(error).message });
});

function serve(address: string, handler: (request: Request) => Promise<Response>) {
  const colon = address.lastIndexOf(":");
  return deno.serve(
    {
      hostname: address.slice(0, colon).replace(/^\[|\]$/g, ""),
      port: Number(address.slice(colon + 1)),
      onListen: () => {},
      onError: (error) => {
        log.error("a request failed", { error: describeFailure(error).message });
        return new Response("internal error", { status: 500 });
      },
    },
    handler,
  );
}

async function main(): Promise<void> {
  const engine = createEngine({ appDir, secrets, log });
  // The files of the nodes are read while the listener is made.
  const starting = engine.start();
  // At once, so that who asks for its health hears why it is not ready.
  const servers =
    webhooks === listen
      ? [serve(listen, (request) => (isOwn(request) ? handle(request, engine) : engine.webhook(request)))]
      : [
          serve(listen, (request) => handle(request, engine)),
          ...(webhooks === undefined ? [] : [serve(webhooks, (request) => engine.webhook(request))]),
        ];
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    deno.addSignalListener(signal, () => {
      log.info("stopping", { signal });
      void Promise.all([...servers.map((server) => server.shutdown()), engine.stop(graceMs)]).finally(() =>
        exit(0),
      );
      // Whatever still hangs then: the end comes.
      setTimeout(() => exit(0), graceMs + 5_000);
    });
  await starting;
}

/** For the engine itself; no webhook's path can be one of these. */
function isOwn(request: Request): boolean {
  const { pathname } = new URL(request.url);
  return pathname === "/run" || pathname === "/health";
}

main().catch((error: unknown) => {
  log.error(error instanceof Error ? error.message : String(error), {
    ...(error instanceof Error && { stack: error.stack }),
  });
  // Whoever supervises shows these lines as the reason.
  exit(1);
});
