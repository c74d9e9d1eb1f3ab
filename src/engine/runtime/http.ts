import type { RunAnswer } from "../../cluster/cluster.ts";
import { MAX_BODY, readBody, textOf } from "./request-body.ts";

const MAX_TRIGGER = 100;

/** What the engine's listener hands on. */
export interface Engine {
  /** Undefined when ready; otherwise why not. */
  notReady(): string | undefined;
  /** Resolves with the answer; undefined when too many runs wait already. */
  run(input: unknown, trigger: string): Promise<RunAnswer> | undefined;
  /** Answers a call of anybody from outside. */
  webhook(request: Request): Promise<Response>;
}

/** Answers `GET /health` and `POST /run`. */
export async function handle(request: Request, engine: Engine): Promise<Response> {
  const { pathname } = new URL(request.url);
  if (pathname === "/health" && request.method === "GET") {
    const reason = engine.notReady();
    return reason === undefined
      ? Response.json({ status: "ready" })
      : Response.json({ status: "starting", reason }, { status: 503 });
  }
  if (pathname !== "/run")
    return refuse(404, `there is no ${pathname.slice(0, 100)}`, "Ask POST /run or GET /health.");
  if (request.method !== "POST") return refuse(405, "a run is started by POST", "POST /run");
  // No browser is a client: a page that somebody visits must not start runs.
  if (request.headers.has("origin")) return refuse(403, "browsers are not served", "Use tntc run.");
  if (request.headers.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase() !== "application/json")
    return refuse(415, "the body is not declared to be JSON", "Send content-type: application/json.");
  const sent = await readBody(request);
  if (sent === undefined)
    return refuse(
      413,
      `the body has more than ${MAX_BODY} bytes`,
      "Keep the data elsewhere, and send where it is.",
    );
  const body = parseBody(textOf(sent));
  if (typeof body === "string") return refuse(400, body, 'Send {"input": …}.');
  const answer = await engine.run(body.input, body.trigger);
  return answer === undefined
    ? refuse(503, "too many runs are under way", "Try again in a moment.")
    : Response.json(answer);
}

function parseBody(text: string): { readonly input: unknown; readonly trigger: string } | string {
  let body: unknown;
  try {
    body = text.trim() === "" ? {} : JSON.parse(text);
  } catch {
    return "the body is no JSON";
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) return "the body is no JSON object";
  const { input, trigger = "manual" }: { input?: unknown; trigger?: unknown } = body;
  if (typeof trigger !== "string" || trigger.length > MAX_TRIGGER) return "trigger is no short text";
  return { input, trigger };
}

/** Refusals have the shape of a run's answer too, so that a client reads one thing only. */
function refuse(status: number, message: string, hint: string): Response {
  const answer: RunAnswer = { ok: false, error: { message, hint }, durationMs: 0, nodes: [] };
  return Response.json(answer, { status });
}
