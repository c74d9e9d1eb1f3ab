import { InvalidInput, TentacularError } from "../../errors.ts";
import { callWithSteps } from "../call.ts";
import { type ExitCode, exitCodes, reportOf } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { AccessDenied, NoConnection } from "../network.ts";
import { renderNotRotated, renderRotate } from "../render/repair.ts";
import { rotateSchema, type RotateView } from "../results.ts";
import { tentaclesWith } from "../tentacles.ts";

interface Options {
  readonly name?: string;
  readonly dependency?: string;
  readonly all?: boolean;
}

/** Rotates the credentials of one tentacle, or of all that have any. */
export async function run({ name, dependency, all = false }: Options, io: CommandIo): Promise<ExitCode> {
  if ((name === undefined) !== all)
    throw new InvalidInput("tntc rotate needs the name of a tentacle, or --all", {
      hint: "For one: tntc rotate <name> [dependency]. For all of the enclave: tntc rotate --all.",
    });
  if (name === undefined) return rotateAll(io);
  const { structured, view } = await rotate(name, dependency, io);
  await io.output.result(structured, () => renderRotate(view, io.output.style));
  return exitOf(view);
}

function rotate(name: string, dependency: string | undefined, io: CommandIo) {
  return callWithSteps(
    io,
    "rotate",
    { ...enclaveArgument(io), name, ...(dependency !== undefined && { dependency }) },
    rotateSchema,
    ({ url }) => `Rotating the credentials of ${name} at ${url}`,
  );
}

/**
 * Goes on past a tentacle that fails; not past a server that is gone, as every other would fail the same way. Whatever ends it
 * early, it reports those that are done, and names those that it did not come to.
 */
async function rotateAll(io: CommandIo): Promise<ExitCode> {
  const { style } = io.output;
  const outcomes: { readonly structured: unknown; readonly text: string; readonly exit: ExitCode }[] = [];
  const names = await tentaclesWith(io, hasCredentials);
  const report = async (left: readonly string[]): Promise<void> => {
    await io.output.result(
      outcomes.map(({ structured }) => structured),
      () => outcomes.map(({ text }) => text).join("\n"),
    );
    if (left.length > 0) io.output.warn(`not begun: ${left.join(", ")}`);
  };
  for (const [index, name] of names.entries()) {
    const left = names.slice(index + 1);
    try {
      const { structured, view } = await rotate(name, undefined, io);
      outcomes.push({ structured, text: renderRotate(view, style), exit: exitOf(view) });
    } catch (error) {
      if (io.signal.aborted || !(error instanceof TentacularError)) {
        await report(left);
        throw error;
      }
      const { report: why, exitCode } = reportOf(error, `rotating ${name}`);
      const isOver = error instanceof NoConnection || error instanceof AccessDenied;
      const exit = isOver ? exitCode : exitCodes.incomplete;
      outcomes.push({
        structured: { name, error: why },
        text: renderNotRotated(name, why, style),
        exit,
      });
      if (isOver) {
        await report(left);
        return worstOf(outcomes);
      }
    }
  }
  await report([]);
  return worstOf(outcomes);
}

function worstOf(outcomes: readonly { readonly exit: ExitCode }[]): ExitCode {
  return (
    outcomes
      .map(({ exit }) => exit)
      .toSorted((a, b) => a - b)
      .at(-1) ?? exitCodes.ok
  );
}

function exitOf({ retired }: RotateView): ExitCode {
  return retired ? exitCodes.ok : exitCodes.incomplete;
}

function hasCredentials(tentacle: {
  readonly state: string;
  readonly dependencies: readonly string[];
}): boolean {
  return tentacle.state !== "retained" && tentacle.dependencies.length > 0;
}
