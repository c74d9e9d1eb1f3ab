import { request } from "node:http";
import { z } from "zod";
import type { Identity } from "../tentacle/identity.ts";
import type { RunAnswer } from "./cluster.ts";

const MAX_ANSWER = 16 * 1024 * 1024;

const nodes = z.array(
  z.object({ node: z.string(), ok: z.boolean(), attempts: z.number(), durationMs: z.number() }),
);
const answerSchema: z.ZodType<RunAnswer> = z.discriminatedUnion("ok", [
  z.object({ ok: z.literal(true), result: z.unknown(), durationMs: z.number(), nodes }),
  z.object({
    ok: z.literal(false),
    error: z.object({ node: z.string().optional(), message: z.string(), hint: z.string().optional() }),
    durationMs: z.number(),
    nodes,
  }),
]);

/** Where an engine listens. */
export interface EngineAddress {
  readonly host: string;
  readonly port: number;
}

/** Does the engine on this port of this machine answer that it is ready? */
export async function isHealthy(port: number, timeoutMs: number): Promise<boolean> {
  try {
    const { status } = await call(
      { host: "127.0.0.1", port },
      "GET",
      "/health",
      undefined,
      AbortSignal.timeout(timeoutMs),
    );
    return status === 200;
  } catch {
    return false;
  }
}

/** Hands a run to an engine; rejects when it does not answer in its own words. */
export async function postRun(
  address: EngineAddress,
  input: unknown,
  signal: AbortSignal,
): Promise<RunAnswer> {
  const { status, text } = await call(address, "POST", "/run", JSON.stringify(runRequest(input)), signal);
  const answer = parseRunAnswer(text);
  if (answer === undefined) throw new Error(`the engine answered ${status} with something else`);
  return answer;
}

/** The next step where an engine cannot be asked, or said nothing. */
export function seeLogs({ name }: Identity): string {
  return `Call logs with name: "${name}" for what its nodes and its engine wrote, and status for how it is.`;
}

/** The body of `POST /run`. */
export function runRequest(input: unknown): { readonly input: unknown; readonly trigger: "manual" } {
  return { input, trigger: "manual" };
}

/** An engine's answer; undefined when the text is something else. */
export function parseRunAnswer(text: string): RunAnswer | undefined {
  try {
    return answerSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Plain `node:http`: `fetch` gives up on an answer after five minutes, and a run may take longer. */
function call(
  { host, port }: EngineAddress,
  method: string,
  path: string,
  body: string | undefined,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const asked = request({ host, port, method, path, headers, signal, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_ANSWER) asked.destroy(new Error(`an answer of more than ${MAX_ANSWER} bytes`));
        chunks.push(chunk);
      });
      response.once("error", reject);
      response.once("end", () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
    });
    asked.once("error", reject);
    asked.end(body);
  });
}
