import { callWithSteps } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { renderRepair } from "../render/repair.ts";
import { repairSchema, type RepairView } from "../results.ts";
import { tentaclesWith } from "../tentacles.ts";

/** Repairs one tentacle; without a name, all of the enclave. */
export async function run({ name }: { readonly name?: string }, io: CommandIo): Promise<ExitCode> {
  const names = name === undefined ? await tentaclesWith(io, ({ state }) => state !== "retained") : [name];
  const answers: { readonly structured: unknown; readonly view: RepairView }[] = [];
  for (const one of names)
    answers.push(
      await callWithSteps(
        io,
        "repair",
        { ...enclaveArgument(io), name: one },
        repairSchema,
        ({ url }) => `Repairing ${one} at ${url}`,
        { idempotent: true },
      ),
    );
  const structured = answers.map((answer) => answer.structured);
  await io.output.result(name === undefined ? structured : structured[0], () =>
    answers.map(({ view }) => renderRepair(view, io.output.style)).join("\n"),
  );
  return answers.every(({ view }) => view.failed.length === 0) ? exitCodes.ok : exitCodes.incomplete;
}
