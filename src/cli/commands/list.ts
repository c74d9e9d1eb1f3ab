import { ask } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { renderList } from "../render/status.ts";
import { type ListView, listSchema } from "../results.ts";

/** The most that the server gives at once. */
const pageSize = 500;

/** Lists the tentacles of an enclave, all pages of it. */
export async function run(options: { readonly limit?: number }, io: CommandIo): Promise<ExitCode> {
  const all = await io.withServer(async (server) => {
    const tentacles: ListView["tentacles"][number][] = [];
    let cursor: string | undefined;
    for (;;) {
      const left = options.limit === undefined ? undefined : options.limit - tentacles.length;
      const args = {
        ...enclaveArgument(io),
        limit: Math.min(left ?? pageSize, pageSize),
        ...(cursor !== undefined && { cursor }),
      };
      const { view } = await ask(server, "status", args, listSchema, { signal: io.signal });
      tentacles.push(...view.tentacles.slice(0, left));
      cursor = view.next;
      if (cursor === undefined || view.tentacles.length === 0 || tentacles.length === options.limit)
        return { enclave: view.enclave, tentacles };
    }
  });
  await io.output.result(all, () => renderList(all, io.output.style));
  return exitCodes.ok;
}
