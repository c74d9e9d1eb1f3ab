import { readTool } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { renderHistory } from "../render/history.ts";
import { historySchema } from "../results.ts";

/** Shows the last operations on a tentacle, newest first. */
export async function run({ name }: { readonly name: string }, io: CommandIo): Promise<ExitCode> {
  const { view } = await readTool(
    io,
    "status",
    { ...enclaveArgument(io), name, history: true },
    historySchema,
  );
  const { enclave, history } = view;
  await io.output.result({ enclave, name, history }, () => renderHistory(view, io.output.style));
  return exitCodes.ok;
}
