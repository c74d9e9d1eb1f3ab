import { InvalidInput } from "../../errors.ts";
import { callWithSteps } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { canAsk, confirm } from "../prompt.ts";
import { renderUndeploy } from "../render/deploy.ts";
import { undeploySchema } from "../results.ts";

/** Removes a tentacle. What deletes data is confirmed by its name, or by `--yes`. */
export async function run(
  {
    name,
    force = false,
    dependency,
  }: { readonly name: string; readonly force?: boolean; readonly dependency?: string },
  io: CommandIo,
): Promise<ExitCode> {
  const what = dependency === undefined ? "all data" : `all that ${dependency} kept`;
  if (force && !io.yes) await confirmDeletion(name, what, io.signal);
  const { structured, view } = await callWithSteps(
    io,
    "undeploy",
    {
      ...enclaveArgument(io),
      name,
      ...(force && { force: name }),
      ...(dependency !== undefined && { dependency }),
    },
    undeploySchema,
    ({ url }) =>
      dependency === undefined
        ? `Undeploying ${name} at ${url}`
        : `Purging what ${dependency} kept of ${name} at ${url}`,
  );
  await io.output.result(structured, () => renderUndeploy(view, io.output.style, { dependency }));
  return view.failed.length === 0 ? exitCodes.ok : exitCodes.incomplete;
}

async function confirmDeletion(name: string, what: string, signal: AbortSignal): Promise<void> {
  if (!canAsk())
    throw new InvalidInput(`undeploy --force deletes ${what} of ${name} and nobody is here to confirm it`, {
      hint: "Add --yes.",
    });
  await confirm(`This deletes ${what} of ${name}. Type its name to go on: `, name, signal);
}
