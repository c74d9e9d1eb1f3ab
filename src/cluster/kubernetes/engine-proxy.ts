import { z } from "zod";
import { Unavailable } from "../../errors.ts";
import type { Identity } from "../../tentacle/identity.ts";
import type { RunAnswer } from "../cluster.ts";
import { parseRunAnswer, postRun, runRequest, seeLogs } from "../engine-client.ts";
import type { Api } from "./api.ts";
import { answerError } from "./errors.ts";
import { getObject } from "./objects.ts";
import { below, object } from "./paths.ts";
import { readWorkload } from "./workload.ts";

const ENGINE_PORT = 8080;
/** The caller's signal bounds a run; this only keeps a forgotten one from lasting for ever. */
const LONGEST_MS = 24 * 3_600_000;

const serviceSchema = z.looseObject({ spec: z.looseObject({ clusterIP: z.string() }) });

/** How a server reaches the engines: over the API server from outside, or straight to their Service. */
export type EngineReach = "proxy" | "direct";

/** Hands a run to the tentacle's engine. It is sent once: a run that was begun must not be begun again. */
export async function runEngine(
  api: Api,
  reach: EngineReach,
  identity: Identity,
  input: unknown,
  signal: AbortSignal,
): Promise<RunAnswer> {
  try {
    const answer =
      reach === "direct"
        ? await runDirect(api, identity, input, signal)
        : await runByProxy(api, identity, input, signal);
    if (answer !== undefined) return answer;
  } catch (error) {
    if (signal.aborted)
      throw new Unavailable(`run of ${identity.key} was given up before the engine answered`, {
        reason: "timeout",
        hint: seeLogs(identity),
        cause: error,
      });
    if (error instanceof Unavailable) throw error;
    throw new Unavailable(`run of ${identity.key} got no answer from its engine`, {
      reason: "unreachable",
      hint: seeLogs(identity),
      cause: error,
    });
  }
  const { state, reason } = await readWorkload(api, identity, signal);
  throw new Unavailable(
    state === "ready"
      ? `run of ${identity.key} got no answer from its engine, which may have ended in the middle of it`
      : `${identity.key} cannot run now: it is ${state}${reason === undefined ? "" : ` (${reason})`}`,
    { reason: "unreachable", hint: state === "absent" ? "Deploy it first." : seeLogs(identity) },
  );
}

/** Undefined when no engine was reached. */
async function runByProxy(
  api: Api,
  { enclave, name }: Identity,
  input: unknown,
  signal: AbortSignal,
): Promise<RunAnswer | undefined> {
  const place = below(object("Service", enclave, `${name}:${ENGINE_PORT}`), "proxy", "/run");
  const answer = await api.send({
    verb: "create",
    place,
    body: runRequest(input),
    allow: [400, 404, 413, 415, 429, 500, 502, 503, 504],
    once: true,
    deadlines: { tryMs: LONGEST_MS, callMs: LONGEST_MS },
    signal,
  });
  const run = parseRunAnswer(answer.text);
  if (run !== undefined) return run;
  // No Service, no endpoint, no way to the pod: in the API server's words. Anything else came from the engine.
  if (answer.status !== undefined || answer.code === 502 || answer.code === 503) return undefined;
  throw answerError({ verb: "create", place }, answer.code, answer.status);
}

async function runDirect(
  api: Api,
  { enclave, name }: Identity,
  input: unknown,
  signal: AbortSignal,
): Promise<RunAnswer | undefined> {
  // By address: not every cluster has a name service that this pod may ask.
  const service = await getObject(api, { kind: "Service", namespace: enclave, name }, { signal });
  if (service === undefined) return undefined;
  const { clusterIP } = serviceSchema.parse(service.json).spec;
  try {
    return await postRun({ host: clusterIP, port: ENGINE_PORT }, input, signal);
  } catch (error) {
    const refused = error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
    if (refused) return undefined;
    throw error;
  }
}
