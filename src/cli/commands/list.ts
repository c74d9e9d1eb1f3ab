import { type ExitCode, exitCodes } from "../failure.ts";
import type { CommandIo } from "../io.ts";
import { renderList } from "../render/status.ts";
import { listTentacles } from "../tentacles.ts";

/** Lists the tentacles of an enclave, all pages of it. */
export async function run(options: { readonly limit?: number }, io: CommandIo): Promise<ExitCode> {
  const all = await listTentacles(io, options.limit);
  await io.output.result(all, () => renderList(all, io.output.style));
  return exitCodes.ok;
}
