import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { readTextIfThere, writeFileAtomic } from "../../files.ts";
import { takeLease } from "../../lease.ts";

const loginSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("token"), server: z.string(), token: z.string() }),
  z.object({
    kind: z.literal("oauth"),
    server: z.string(),
    issuer: z.string(),
    clientId: z.string(),
    resource: z.string(),
    token: z.string(),
    refreshToken: z.string().optional(),
    /** RFC 3339; absent where the issuer does not say. */
    expiresAt: z.string().optional(),
  }),
]);

/** What `tntc login` has stored for one server. */
export type Login = Readonly<z.infer<typeof loginSchema>>;
export type OAuthLogin = Extract<Login, { kind: "oauth" }>;

/**
 * One file a server, for its owner only, named by the server's address: what was given for one server can reach no other,
 * whatever the user's configuration says later.
 */
export interface Logins {
  read(server: string): Promise<Login | undefined>;
  write(login: Login): Promise<void>;
  remove(server: string): Promise<void>;
  /** Runs `work` while no other process does so for this server: a refresh token can be used once. */
  alone<T>(server: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

/** The logins kept below the state folder. */
export function createLogins(stateDir: string): Logins {
  const folder = join(stateDir, "logins");
  const named = (server: string, end: string) =>
    join(folder, `${createHash("sha256").update(server).digest("hex").slice(0, 32)}${end}`);
  return {
    async read(server) {
      const text = await readTextIfThere(named(server, ".json"));
      if (text === undefined) return undefined;
      const login = parse(text);
      return login?.server === server ? login : undefined;
    },
    write: (login) => writeFileAtomic(named(login.server, ".json"), JSON.stringify(login, null, 2)),
    remove: (server) => rm(named(server, ".json"), { force: true }),
    async alone(server, signal, work) {
      for (;;) {
        const taken = await takeLease(named(server, ".lease"), "tntc login");
        if ("heldBy" in taken) {
          await sleep(100, undefined, { signal });
          continue;
        }
        try {
          return await work();
        } finally {
          await taken.lease.release();
        }
      }
    },
  };
}

/** A file of another version counts as none: a new login writes it anew. */
function parse(text: string): Login | undefined {
  try {
    return loginSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
