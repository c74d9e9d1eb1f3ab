import { readTool } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { renderStatus } from "../render/status.ts";
import { statusSchema } from "../results.ts";
import { run as list } from "./list.ts";

/** Shows one tentacle; without a name, all of them. */
export async function run(
  options: { readonly name?: string; readonly detail?: boolean; readonly operation?: string },
  io: CommandIo,
): Promise<ExitCode> {
  if (options.name === undefined) return list({}, io);
  const { structured, view } = await readTool(
    io,
    "status",
    {
      ...enclaveArgument(io),
      name: options.name,
      ...(options.detail === true && { detail: true }),
      ...(options.operation !== undefined && { operation: options.operation }),
    },
    statusSchema,
  );
  await io.output.result(structured, () => renderStatus(view, io.output.style, io.output.width));
  return exitCodes.ok;
}
