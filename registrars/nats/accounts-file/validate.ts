import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Conflict } from "../../../src/errors.ts";

const run = promisify(execFile);
const CONFIG = "accounts { include accounts.conf }\n";

/** Refuses, with Conflict, a text that nats-server could not read; `now` is the text in use. */
export type Validator = (now: string, next: string, signal: AbortSignal) => Promise<void>;

/**
 * Asks the nats-server program of this machine, where there is one, whether it understands a text. Where it does not
 * understand the text in use either (for variables or accounts that stand elsewhere in its configuration), it is no
 * judge of the next one; the running server is.
 */
export function createValidator(findProgram: () => Promise<string | undefined>, where: string): Validator {
  return async (now, next, signal) => {
    const program = await findProgram();
    if (program === undefined) return;
    const problem = await problemOf(program, next, signal);
    if (problem === undefined || (await problemOf(program, now, signal)) !== undefined) return;
    throw new Conflict(`${where} would no longer be valid, so nothing was written`, {
      service: "nats",
      hint: "Something else in it does not go with Tentacular's entries: look at it with nats-server -t.",
      cause: new Error(problem),
    });
  };
}

async function problemOf(program: string, text: string, signal: AbortSignal): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), "tentacular-nats-check-"));
  try {
    await writeFile(join(folder, "accounts.conf"), text, { mode: 0o600 });
    await writeFile(join(folder, "nats.conf"), CONFIG, { mode: 0o600 });
    await run(program, ["-t", "-c", join(folder, "nats.conf")], { signal, timeout: 10_000 });
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return error instanceof Error ? error.message : "refused";
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
