import { z } from "zod";
import { Unavailable } from "../errors.ts";
import type { Found } from "./find-server.ts";
import { watchNetwork } from "./network.ts";
import { plain } from "./text.ts";

const callerSchema = z.object({
  name: z.string(),
  grants: z.array(z.object({ scope: z.string(), enclaves: z.array(z.string()) })),
});

/** The caller as the server sees it. */
export type Caller = Readonly<z.infer<typeof callerSchema>>;

/** Asks the server who calls; throws AccessDenied when it does not know. */
export async function askWho({ url, local, token }: Found, signal: AbortSignal): Promise<Caller> {
  const network = watchNetwork({ url, local, token: token.what });
  const value = await token.token();
  try {
    const response = await network.fetch(new URL("whoami", url), {
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      headers: value === undefined ? {} : { authorization: `Bearer ${value}` },
    });
    if (response.ok) return callerSchema.parse(await response.json());
  } catch (cause) {
    signal.throwIfAborted();
    throw network.failure()?.error("connect") ?? notUnderstood(url, cause);
  }
  throw network.failure()?.error("connect") ?? notUnderstood(url);
}

const TIMEOUT_MS = 15_000;

/** The caller for people: a line for the name, and one for each thing that it may do. */
export function renderCaller({ name, grants }: Caller): readonly string[] {
  const may = grants.map(({ scope, enclaves }) => {
    const where = enclaves.includes("*") ? "every enclave" : enclaves.map(plain).join(", ");
    return `You may ${plain(scope)} in ${where}`;
  });
  return [`You are ${plain(name)}`, ...(may.length === 0 ? ["You may do nothing here yet"] : may)];
}

function notUnderstood(url: URL, cause?: unknown): Unavailable {
  return new Unavailable(`the server at ${url.origin} did not say who you are`, {
    reason: "failed",
    hint: "It may be older than this tntc: compare `tntc --version` on both.",
    cause,
  });
}
