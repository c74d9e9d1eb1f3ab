import { readTool } from "./call.ts";
import { type CommandIo, enclaveArgument } from "./io.ts";
import { type ListView, listSchema } from "./results.ts";

/** The most that the server gives at once. */
const pageSize = 500;

/** All tentacles of the enclave, page after page, or the first `limit`. */
export async function listTentacles(io: CommandIo, limit?: number): Promise<ListView> {
  const tentacles: ListView["tentacles"][number][] = [];
  let cursor: string | undefined;
  for (;;) {
    const left = limit === undefined ? undefined : limit - tentacles.length;
    const args = {
      ...enclaveArgument(io),
      limit: Math.min(left ?? pageSize, pageSize),
      ...(cursor !== undefined && { cursor }),
    };
    const { view } = await readTool(io, "status", args, listSchema);
    tentacles.push(...view.tentacles.slice(0, left));
    cursor = view.next;
    if (cursor === undefined || view.tentacles.length === 0 || tentacles.length === limit)
      return { enclave: view.enclave, tentacles };
  }
}

/** Names of those tentacles of the enclave that `wanted` picks. */
export async function tentaclesWith(
  io: CommandIo,
  wanted: (tentacle: ListView["tentacles"][number]) => boolean,
): Promise<readonly string[]> {
  const { tentacles } = await listTentacles(io);
  return tentacles.filter(wanted).map(({ name }) => name);
}
