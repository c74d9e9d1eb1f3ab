import { readFile } from "node:fs/promises";
import type { NatsConnection } from "@nats-io/transport-node";
import { z } from "zod";
import { Unavailable } from "../../../src/errors.ts";
import { untilAborted } from "../../../src/until-aborted.ts";
import { explain, isNoResponders, login, type Reach } from "../connection.ts";

import { steadily } from "./steadily.ts";

/** The prefix that the system user's permissions name (docs/nats.md). */
const INBOX_PREFIX = "_INBOX_exo";
/** How long the servers of a cluster may keep each other waiting with their names. */
const ROLL_CALL_MS = 1_000;

/** The server read its configuration and refuses it; it goes on with the one before. */
export class ConfigurationRefused extends Unavailable {
  constructor(url: string, cause: string) {
    super(`NATS at ${url} refuses its configuration, so what is new in it has no effect`, {
      reason: "failed",
      service: "nats",
      hint: "Look at it with nats-server -t -c <its configuration>, and mend what was written by hand.",
      cause: new Error(cause),
    });
  }
}

/** Asks nats-server to read its configuration again; nothing is known of the effect when it returns. */
export type Reloader = (signal: AbortSignal) => Promise<void>;

/** A system account user asks every server of the cluster. */
export function reloadBySystemUser(reach: Reach, seed: string): Reloader {
  /** Asks once; gives what the first server that refuses its configuration says of it. */
  async function ask(signal: AbortSignal): Promise<string | undefined> {
    const nats: NatsConnection = await untilAborted(signal, login(reach, seed, INBOX_PREFIX));
    try {
      for (const server of await untilAborted(signal, serversOf(nats))) {
        const request = nats.request(`$SYS.REQ.SERVER.${server}.RELOAD`, "", { timeout: 5_000 });
        const { error } = answerSchema.parse((await untilAborted(signal, request)).json());
        if (error !== undefined) return error.description;
      }
      return undefined;
    } finally {
      await nats.close();
    }
  }

  return async (signal) => {
    let refusal: string | undefined;
    try {
      // Also a connection that stands is cut by a reload that somebody else asked for; asking twice does no harm.
      refusal = await steadily(signal, () => ask(signal));
    } catch (error) {
      signal.throwIfAborted();
      if (isNoResponders(error)) throw notSystem(reach);
      throw explain(error, "asking NATS to read its accounts again", reach.address);
    }
    if (refusal !== undefined) throw new ConfigurationRefused(reach.address.url, refusal);
  };
}

const answerSchema = z.object({
  error: z.object({ description: z.string().default("") }).optional(),
});
const pongSchema = z.object({ server: z.object({ id: z.string() }) });

/** Ids of the servers of the cluster; that of the one at the other end where there is no cluster. */
async function serversOf(nats: NatsConnection): Promise<readonly string[]> {
  const { info } = nats;
  if (info?.cluster === undefined) return info === undefined ? [] : [info.server_id];
  const ids: string[] = [];
  const answers = await nats.requestMany("$SYS.REQ.SERVER.PING", "", {
    strategy: "stall",
    maxWait: ROLL_CALL_MS,
  });
  for await (const answer of answers) ids.push(pongSchema.parse(answer.json()).server.id);
  return ids;
}

function notSystem({ address }: Reach): Unavailable {
  return new Unavailable(
    `the user of TENTACULAR_NATS_SYSTEM_NKEY is not in the system account of NATS at ${address.url}`,
    {
      reason: "permission",
      service: "nats",
      hint: "Name its account in nats-server's configuration: system_account: SYS.",
    },
  );
}

/** SIGHUP to the process whose id stands in `pidFile`, on this machine. */
export function reloadByPid(pidFile: string): Reloader {
  return async () => {
    try {
      const pid = z.coerce
        .number()
        .int()
        .min(2)
        .parse((await readFile(pidFile, "utf8")).trim());
      await requireNats(pid);
      process.kill(pid, "SIGHUP");
    } catch (error) {
      throw new Unavailable(`the process named in ${pidFile} cannot be told to read its accounts again`, {
        reason: "failed",
        service: "nats",
        hint: "TENTACULAR_NATS_PID_FILE must be the pid_file of a running nats-server on this machine, run by the same user.",
        cause: error,
      });
    }
  };
}

/** The id of a server that ended may belong to another process by now, which a SIGHUP would end. */
async function requireNats(pid: number): Promise<void> {
  const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => undefined);
  if (name !== undefined && !name.includes("nats")) throw new Error(`process ${pid} is ${name.trim()}`);
}
