import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Conflict } from "../errors.ts";
import type { Logger } from "../log.ts";
import { lookUp } from "./orphan.ts";

/**
 * Deals with a `postmaster.pid` that an earlier run left in `data`. A server whose parent was killed is ended; a
 * number that now belongs to another program is ignored; a server whose parent still lives is somebody's.
 *
 * @param owner the process that started the server on this folder, when that is known
 */
export async function endPostgresOrphan(data: string, owner: number | undefined, log: Logger): Promise<void> {
  const pidFile = join(data, "postmaster.pid");
  const text = await readFile(pidFile, "utf8").catch(() => undefined);
  if (text === undefined) return;
  const pid = Number(text.split("\n", 1)[0]);
  const found = Number.isSafeInteger(pid) && pid > 1 ? await lookUp(pid) : undefined;
  if (found?.command.includes(data) !== true) {
    await rm(pidFile, { force: true });
    return;
  }
  if (found.parent === owner && owner !== process.pid)
    throw new Conflict(`the embedded Postgres in ${data} is in use by process ${owner}`, {
      hint: "Stop that process first, or use another state folder.",
    });
  log.warn({ pid }, "ending the embedded Postgres of a process that is gone");
  // SIGINT ends the sessions and writes a checkpoint; SIGQUIT leaves that to the next start's recovery.
  for (const signal of ["SIGINT", "SIGQUIT"] as const) {
    process.kill(pid, signal);
    for (let waited = 0; waited < 10_000; waited += 50) {
      if ((await lookUp(pid))?.command.includes(data) !== true) return;
      await sleep(50);
    }
  }
  throw new Conflict(`the embedded Postgres of an earlier run (process ${pid}) does not end`, {
    hint: `End process ${pid} by hand.`,
  });
}
