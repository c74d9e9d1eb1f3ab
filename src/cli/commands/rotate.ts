import { InvalidInput } from "../../errors.ts";
import { callWithSteps } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { renderRotate } from "../render/repair.ts";
import { rotateSchema, type RotateView } from "../results.ts";
import { tentaclesWith } from "../tentacles.ts";

/** Rotates the credentials of one tentacle, or of all that have any. */
export async function run(
  options: { readonly name?: string; readonly dependency?: string; readonly all?: boolean },
  io: CommandIo,
): Promise<ExitCode> {
  const { name, dependency, all = false } = options;
  if ((name === undefined) !== all)
    throw new InvalidInput("tntc rotate needs the name of a tentacle, or --all", {
      hint: "For one: tntc rotate <name> [dependency]. For all of the enclave: tntc rotate --all.",
    });
  const names = name === undefined ? await tentaclesWith(io, hasCredentials) : [name];
  const answers: { readonly structured: unknown; readonly view: RotateView }[] = [];
  for (const one of names)
    answers.push(
      await callWithSteps(
        io,
        "rotate",
        { ...enclaveArgument(io), name: one, ...(dependency !== undefined && { dependency }) },
        rotateSchema,
        ({ url }) => `Rotating the credentials of ${one} at ${url}`,
      ),
    );
  const structured = answers.map((answer) => answer.structured);
  await io.output.result(all ? structured : structured[0], () =>
    answers.map(({ view }) => renderRotate(view, io.output.style)).join("\n"),
  );
  return answers.every(({ view }) => view.retired) ? exitCodes.ok : exitCodes.incomplete;
}

function hasCredentials(tentacle: {
  readonly state: string;
  readonly dependencies: readonly string[];
}): boolean {
  return tentacle.state !== "retained" && tentacle.dependencies.length > 0;
}
