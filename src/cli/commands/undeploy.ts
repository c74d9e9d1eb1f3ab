import { InvalidInput } from "../../errors.ts";
import { callWithSteps } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { canAsk, confirm } from "../prompt.ts";
import { renderUndeploy } from "../render/deploy.ts";
import { undeploySchema } from "../results.ts";

/** Removes a tentacle. What deletes data is confirmed by its name, or by `--yes`. */
export async function run(
  { name, force = false }: { readonly name: string; readonly force?: boolean },
  io: CommandIo,
): Promise<ExitCode> {
  if (force && !io.yes) await confirmDeletion(name, io.signal);
  const { structured, view } = await callWithSteps(
    io,
    "undeploy",
    { ...enclaveArgument(io), name, ...(force && { force: name }) },
    undeploySchema,
    ({ url }) => `Undeploying ${name} at ${url}`,
  );
  await io.output.result(structured, () => renderUndeploy(view, io.output.style));
  return view.failed.length === 0 ? exitCodes.ok : exitCodes.incomplete;
}

async function confirmDeletion(name: string, signal: AbortSignal): Promise<void> {
  if (!canAsk())
    throw new InvalidInput(`undeploy --force deletes all data of ${name} and nobody is here to confirm it`, {
      hint: "Add --yes.",
    });
  await confirm(`This deletes all data of ${name}. Type its name to go on: `, name, signal);
}
