import { Unavailable } from "../../../src/errors.ts";
import { explain, type Reach } from "../connection.ts";
import { type LoginAnswer, readGreeting, tryLogin } from "../try-login.ts";
import { steadily } from "./steadily.ts";

/** The server's version, once it is seen to know users by their keys, and the system user where one is given. */
export async function probeServer(
  reach: Reach,
  systemSeed: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const { url } = reach.address;
  try {
    const { version, challenges } = await steadily(signal, () => readGreeting(reach, signal));
    if (!challenges)
      throw new Unavailable(`NATS at ${url} asks nobody for a key, so it cannot isolate tentacles`, {
        reason: "failed",
        service: "nats",
        hint: "With no authentication, or with one shared token or user, all tentacles would be one. Give nats-server accounts, a system user with an nkey, and the include of docs/nats.md.",
      });
    if (systemSeed !== undefined && !(await knows(reach, systemSeed, signal)))
      throw new Unavailable(`NATS at ${url} refuses the system user`, {
        reason: "stale_credentials",
        service: "nats",
        hint: "TENTACULAR_NATS_SYSTEM_NKEY must be the seed of an nkey user of the system account in nats-server's configuration.",
      });
    return version;
  } catch (error) {
    signal.throwIfAborted();
    throw explain(error, "asking NATS", reach.address);
  }
}

async function knows(reach: Reach, seed: string, signal: AbortSignal): Promise<boolean> {
  const isKnown = (answer: LoginAnswer): boolean => answer !== "refused";
  return isKnown(await steadily(signal, () => tryLogin(reach, { seed }, signal), isKnown));
}
