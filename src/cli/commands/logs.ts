import { readTool } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { renderLogs } from "../render/logs.ts";
import { logsSchema } from "../results.ts";

/** Prints the last lines of a tentacle's log, freed of what could steer a terminal. */
export async function run(
  options: { readonly name: string; readonly tail: number },
  io: CommandIo,
): Promise<ExitCode> {
  const { structured, view } = await readTool(
    io,
    "logs",
    { ...enclaveArgument(io), name: options.name, tail: options.tail },
    logsSchema,
  );
  if (view.lines.length === 0) io.output.note(`${options.name} has written nothing yet.`);
  await io.output.result(structured, () => renderLogs(view.lines, io.output.style));
  return exitCodes.ok;
}
