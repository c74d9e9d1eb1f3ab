import type { RunAnswer } from "../../cluster/cluster.ts";
import type { Trigger } from "../../tentacle/tentacle.ts";
import type { EngineLog } from "./log.ts";
import { MAX_BODY, readBody, textOf } from "./request-body.ts";
import type { Secrets } from "./secrets.ts";

/** A trigger that a call from outside starts. */
export type WebhookTrigger = Extract<Trigger, { type: "webhook" }>;

export interface WebhookParts {
  readonly secrets: Pick<Secrets, "value">;
  readonly log: EngineLog;
  /** Undefined when too many runs wait already. */
  readonly run: (input: unknown, trigger: string) => Promise<RunAnswer> | undefined;
}

/**
 * Answers `POST` to the declared paths: 202 as soon as the run is queued, since who sends webhooks waits a few seconds
 * and does not read the result; 204 for an event that no trigger is for. Refusals tell a stranger nothing of the tentacle.
 */
export async function handleWebhook(
  request: Request,
  triggers: readonly WebhookTrigger[],
  { secrets, log, run }: WebhookParts,
): Promise<Response> {
  const { pathname } = new URL(request.url);
  const here = triggers.filter(({ path }) => path === pathname);
  if (here.length === 0) return answer(404, "there is no such webhook");
  if (request.method !== "POST") return answer(405, "a webhook is called by POST", { allow: "POST" });
  // No browser is a client: a page that somebody visits must not start runs.
  if (request.headers.has("origin")) return answer(403, "browsers are not served");
  const body = await readBody(request);
  if (body === undefined) return answer(413, `the body has more than ${MAX_BODY} bytes`);
  const proofs = await Promise.all(here.map((trigger) => isFrom(trigger, request.headers, body, secrets)));
  const allowed = here.filter((_, index) => proofs[index]);
  if (allowed.length === 0) {
    log.warn("a webhook call was refused: it does not prove that it knows the secret", { path: pathname });
    return answer(401, "the call does not prove that it knows the secret", { "www-authenticate": "Bearer" });
  }
  const input = decode(body, request.headers.get("content-type") ?? "");
  if (input === undefined) return answer(400, "the body is declared to be JSON and is none");
  const wanted = allowed.find((trigger) => isWanted(trigger, request.headers, input));
  if (wanted === undefined) return new Response(null, { status: 204 });
  const running = run(input, wanted.path);
  if (running === undefined) return answer(503, "too many runs are under way", { "retry-after": "10" });
  log.info("a webhook call started a run", { path: pathname });
  return Response.json({ accepted: true }, { status: 202 });
}

async function isFrom(
  { provider, secret }: WebhookTrigger,
  headers: Headers,
  body: Uint8Array,
  secrets: Pick<Secrets, "value">,
): Promise<boolean> {
  if (secret === undefined) return true;
  const value = secrets.value(secret.service, secret.key);
  // A secret that was taken away opens nothing.
  if (value === undefined || value === "") return false;
  // Loading it takes as long as the start of Deno itself.
  const { createHash, createHmac, timingSafeEqual } = await import("node:crypto");
  /** Equal, in a time that tells nothing of where they differ. */
  const same = (given: string, right: string): boolean => {
    const digest = (text: string) => createHash("sha256").update(text).digest();
    return timingSafeEqual(digest(given), digest(right));
  };
  if (provider === "github")
    // https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
    return same(
      headers.get("x-hub-signature-256") ?? "",
      `sha256=${createHmac("sha256", value).update(body).digest("hex")}`,
    );
  return same(headers.get("authorization") ?? "", `Bearer ${value}`);
}

function isWanted({ event, actions }: WebhookTrigger, headers: Headers, input: unknown): boolean {
  if (event !== undefined && headers.get("x-github-event") !== event) return false;
  if (actions.length === 0) return true;
  const action = typeof input === "object" && input !== null && "action" in input ? input.action : undefined;
  return typeof action === "string" && actions.includes(action);
}

/** JSON where it is declared, else the text; undefined when what is declared is not there. */
function decode(body: Uint8Array, contentType: string): unknown {
  const text = textOf(body);
  if (!/^application\/(?:[\w.+-]+\+)?json(?:;|$)/i.test(contentType.trim())) return text;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function answer(status: number, error: string, headers: Record<string, string> = {}): Response {
  return Response.json({ error }, { status, headers });
}
