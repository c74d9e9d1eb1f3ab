import { randomBytes } from "node:crypto";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { makePrivateFolder, readTextIfThere, writeFileAtomic } from "../files.ts";
import { leaseHolder, takeLease } from "../lease.ts";

const serverSchema = z.object({ url: z.string(), since: z.string() });

/** The right to be the one process that runs the services, the engines and the server of a state folder. */
export interface HostClaim {
  /** What a client of this host must send as its bearer token; the same over restarts, until its file is deleted. */
  readonly token: string;
  /** Holds the token, 0600. */
  readonly tokenFile: string;
  /** Lets other processes find this host's server. */
  publish(server: { readonly url: string }): Promise<void>;
  /** Gives the claim back, the published address with it. */
  release(): Promise<void>;
}

/** A living host, as another process sees it. */
export interface Host {
  readonly url: string;
  readonly tokenFile: string;
  readonly pid: number;
  /** RFC 3339. */
  readonly since: string;
}

/** Makes this process the host of `stateDir`; undefined when a living process is. What a killed host left is recovered. */
export async function claimHost(stateDir: string): Promise<HostClaim | undefined> {
  await makePrivateFolder(stateDir);
  const taken = await takeLease(leaseFolder(stateDir), "tntc up");
  if ("heldBy" in taken) return undefined;
  const { since } = taken.lease.holder;
  await rm(serverFile(stateDir), { force: true });
  const token = await keepToken(tokenPath(stateDir));
  return {
    token,
    tokenFile: tokenPath(stateDir),
    publish: ({ url }) => writeFileAtomic(serverFile(stateDir), JSON.stringify({ url, since })),
    release: async () => {
      await rm(serverFile(stateDir), { force: true });
      await taken.lease.release();
    },
  };
}

/** The living host of `stateDir` that has published its address. */
export async function readHost(stateDir: string): Promise<Host | undefined> {
  const holder = await leaseHolder(leaseFolder(stateDir));
  const text = await readTextIfThere(serverFile(stateDir));
  if (holder === undefined || text === undefined) return undefined;
  const server = parseServer(text);
  // The address of an earlier host is no address of this one.
  if (server?.since !== holder.since) return undefined;
  return { url: server.url, tokenFile: tokenPath(stateDir), pid: holder.pid, since: holder.since };
}

function parseServer(text: string): z.infer<typeof serverSchema> | undefined {
  try {
    return serverSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The token in `file`, made there when it has none that only its owner knows. */
export async function keepToken(file: string): Promise<string> {
  const kept = await readTextIfThere(file);
  // One that others could read may be known to them.
  if (kept !== undefined && /^[\w-]{43}$/.test(kept) && ((await stat(file)).mode & 0o077) === 0) return kept;
  const token = randomBytes(32).toString("base64url");
  await writeFileAtomic(file, token);
  return token;
}

function leaseFolder(stateDir: string): string {
  return join(stateDir, "host");
}
function serverFile(stateDir: string): string {
  return join(stateDir, "server.json");
}
function tokenPath(stateDir: string): string {
  return join(stateDir, "token");
}
