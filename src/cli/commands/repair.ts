import { callWithSteps } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { renderRepair, renderRepairAll } from "../render/repair.ts";
import { repairAllSchema, repairSchema } from "../results.ts";

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

async function all(io: CommandIo): Promise<ExitCode> {
  const { structured, view } = await callWithSteps(
    io,
    "repair",
    enclaveArgument(io),
    repairAllSchema,
    ({ url }) => `Repairing what needs it at ${url}`,
    { idempotent: true, keepsNotes: true },
  );
  await io.output.result(structured, () => renderRepairAll(view, io.output.style));
  return view.tentacles.every(({ failed }) => failed.length === 0) ? exitCodes.ok : exitCodes.incomplete;
}
