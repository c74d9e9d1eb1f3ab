import { counted } from "../../counted.ts";
import { InvalidInput } from "../../errors.ts";
import { type Answer, callWithSteps, readTool } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { canAsk, confirm } from "../prompt.ts";
import { renderUndeploy } from "../render/deploy.ts";
import { renderOrphans } from "../render/orphans.ts";
import { type OrphansView, orphansSchema, undeploySchema, type UndeployView } from "../results.ts";

/** Lists what is left of tentacles that no release record knows of; with force deletes it, each as an undeploy of its own. */
export async function run({ force = false }: { readonly force?: boolean }, io: CommandIo): Promise<ExitCode> {
  const { structured, view } = await readTool(
    io,
    "status",
    { ...enclaveArgument(io), orphans: true },
    orphansSchema,
  );
  const names = [...new Set(view.orphans.map(({ name }) => name))];
  if (!force || names.length === 0) {
    await io.output.result(structured, () => renderOrphans(view, io.output.style));
    return view.unasked.length === 0 ? exitCodes.ok : exitCodes.incomplete;
  }
  io.output.note(renderOrphans(view, io.output.noteStyle));
  if (!io.yes) await confirmDeletion(view, names.length, io.signal);
  const answers: Answer<UndeployView>[] = [];
  for (const name of names)
    answers.push(
      await callWithSteps(
        io,
        "undeploy",
        { enclave: view.enclave, name, force: name, orphan: true },
        undeploySchema,
        ({ url }) => `Deleting what is left of ${name} at ${url}`,
      ),
    );
  await io.output.result(
    answers.map((answer) => answer.structured),
    () => answers.map((answer) => renderUndeploy(answer.view, io.output.style)).join("\n"),
  );
  const whole = answers.every((answer) => answer.view.failed.length === 0);
  return whole && view.unasked.length === 0 ? exitCodes.ok : exitCodes.incomplete;
}

async function confirmDeletion({ enclave }: OrphansView, count: number, signal: AbortSignal): Promise<void> {
  if (!canAsk())
    throw new InvalidInput(
      `gc --force deletes for good what is left of ${counted(count, "tentacle")} in enclave ${enclave}, and nobody is here to confirm it`,
      { hint: "Add --yes." },
    );
  await confirm(
    `This deletes all of it for good. Type the enclave's name, ${enclave}, to go on: `,
    enclave,
    signal,
  );
}
