import { callTool } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { renderEnclaveInfo } from "../render/enclave-info.ts";
import { enclaveInfoSchema } from "../results.ts";

/** Shows what an author can use in an enclave. */
export async function run(_options: object, io: CommandIo): Promise<ExitCode> {
  const { structured, view } = await callTool(io, "enclave_info", enclaveArgument(io), enclaveInfoSchema);
  await io.output.result(structured, () => renderEnclaveInfo(view, io.output.style, io.output.width));
  return exitCodes.ok;
}
