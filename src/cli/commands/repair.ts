import { callWithSteps } from "../call.ts";
import type { ProgressEvent } from "../client.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { renderRepair, renderRepairAll } from "../render/repair.ts";
import { repairAllSchema, repairSchema } from "../results.ts";
import { readProgress } from "../steps.ts";

/** Repairs one tentacle; without a name, all of the enclave that need it. */
export async function run({ name }: { readonly name?: string }, io: CommandIo): Promise<ExitCode> {
  return name === undefined ? all(io) : one(name, io);
}

async function one(name: string, io: CommandIo): Promise<ExitCode> {
  const { structured, view } = await callWithSteps(
    io,
    "repair",
    { ...enclaveArgument(io), name },
    repairSchema,
    ({ url }) => `Repairing ${name} at ${url}`,
    { idempotent: true },
  );
  await io.output.result(structured, () => renderRepair(view, io.output.style));
  return view.failed.length === 0 ? exitCodes.ok : exitCodes.incomplete;
}

/** Whatever ends it early, what came of each tentacle until then is reported: to people by the lines of the steps. */
async function all(io: CommandIo): Promise<ExitCode> {
  const { enclave } = enclaveArgument(io);
  const begun: Begun[] = [];
  try {
    const { structured, view } = await callWithSteps(
      io,
      "repair",
      enclaveArgument(io),
      repairAllSchema,
      ({ url }) => `Repairing what needs it at ${url}`,
      { idempotent: true, keepsNotes: true, onProgress: (event) => note(begun, event) },
    );
    await io.output.result(structured, () => renderRepairAll(view, io.output.style));
    return view.tentacles.every(({ failed }) => failed.length === 0) ? exitCodes.ok : exitCodes.incomplete;
  } catch (error) {
    if (begun.length > 0) await io.output.result(early(enclave, begun), () => "");
    throw error;
  }
}

/** A tentacle that a repair of all has come to. */
interface Begun {
  readonly name: string;
  /** What the server said last of it. */
  outcome: string;
  /** How many the server has not come to after it. */
  readonly left: number;
}

function note(begun: Begun[], event: ProgressEvent): void {
  const { step: name, note: outcome } = readProgress(event);
  const last = begun.at(-1);
  if (last?.name === name) last.outcome = outcome;
  else begun.push({ name, outcome, left: Math.max(0, (event.total ?? 0) - Math.floor(event.done) - 1) });
}

/** A report of a repair that did not come to its end; that of the last tentacle may not have, either. */
function early(enclave: string | undefined, begun: readonly Begun[]): object {
  const { name, left } = begun.at(-1) ?? {};
  return {
    ...(enclave !== undefined && { enclave }),
    tentacles: begun.slice(0, -1).map(({ name: done, outcome }) => ({ name: done, outcome })),
    ended_at: name,
    not_begun: left,
  };
}
