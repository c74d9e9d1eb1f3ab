import { connect, errors, type NatsConnection } from "@nats-io/transport-node";
import { TentacularError, Unavailable, type UnavailableReason } from "../../src/errors.ts";
import {
  type Address,
  type ClientCertificate,
  readCa,
  readClientCertificate,
  transportOptions,
} from "./address.ts";
import { parseCreds } from "./claims.ts";
import { isSeed, keyFromSeed } from "./keys.ts";

/** How to reach the server, for the system account and for tentacles alike. */
export interface Reach {
  readonly address: Address;
  readonly caFile: string | undefined;
  /** For a server that asks clients for one. */
  readonly clientCertificate?: ClientCertificate;
  /** One of the addresses of the host, where it has several. */
  readonly via?: string;
}

/** What proves a user: the seed of its key, and its JWT where the server is in operator mode. */
export interface Login {
  readonly jwt?: string;
  readonly seed: string;
}

/** Logs in with the text of a .creds file, or with a bare seed. Does not reconnect: who needs it longer connects again. */
export async function login(reach: Reach, creds: string, inboxPrefix: string): Promise<NatsConnection> {
  const parsed = requireCreds(creds);
  const user = keyFromSeed(parsed.seed, "U");
  const authenticator = (nonce?: string) => {
    if (nonce === undefined) return undefined;
    const sig = Buffer.from(user.sign(new TextEncoder().encode(nonce))).toString("base64url");
    const nkey = user.getPublicKey();
    return parsed.jwt === undefined ? { nkey, sig } : { jwt: parsed.jwt, nkey, sig };
  };
  const options = transportOptions(
    reach.address,
    await readCa(reach.caFile),
    await readClientCertificate(reach.clientCertificate),
  );
  return connect({ ...options, name: "tentacular", authenticator, inboxPrefix, ignoreClusterUpdates: true });
}

/** The parts of a .creds file, or the bare seed of a user; throws what to give instead. */
export function requireCreds(creds: string): Login {
  const parsed = isSeed(creds, "U") ? { seed: creds } : parseCreds(creds);
  if (parsed !== undefined && isSeed(parsed.seed, "U")) return parsed;
  throw new Unavailable("the NATS credentials are no text of a .creds file", {
    reason: "stale_credentials",
    service: "nats",
    hint: "Give the whole text that begins with -----BEGIN NATS USER JWT-----.",
  });
}

/** Did nobody answer, although the connection stands? */
export function isTimeout(error: unknown): boolean {
  return causes(error).some((cause) => cause instanceof Error && cause.name === "TimeoutError");
}

export function isNoResponders(error: unknown): boolean {
  return causes(error).some((cause) => cause instanceof errors.NoRespondersError);
}

/** A server that cannot give each tentacle an account of its own is not used. */
export function notOperatorMode({ url }: Address): Unavailable {
  return new Unavailable(
    `NATS at ${url} is not in operator mode with a full resolver, so it cannot isolate tentacles`,
    {
      reason: "failed",
      service: "nats",
      hint: "Configure operator, system_account and resolver { type: full, allow_delete: true } in nats-server; docs/nats.md has an example.",
    },
  );
}

/** Puts whatever the client threw into our words, with who must act. */
export function explain(error: unknown, attempted: string, { url }: Address): TentacularError {
  if (error instanceof TentacularError) return error;
  const [reason, why, hint] = diagnose(error);
  return new Unavailable(`${attempted} at ${url}: ${why}`, { reason, service: "nats", hint, cause: error });
}

function diagnose(error: unknown): readonly [UnavailableReason, string, string] {
  const chain = causes(error);
  const denied = chain.find((cause) => cause instanceof errors.PermissionViolationError);
  if (denied !== undefined)
    return [
      "permission",
      `the system user may not ${denied.operation === "publish" ? "publish to" : "subscribe to"} ${denied.subject}`,
      "Give it the permissions that docs/nats.md lists.",
    ];
  if (isTimeout(error))
    return ["timeout", "no answer within 5 s", "Check that the server is up and reachable from here."];
  const text = chain
    .map((cause) => (cause instanceof Error ? `${codeOf(cause)} ${cause.message}` : ""))
    .join(" ");
  if (/ERR_TLS|CERT|SELF_SIGNED|SSL|does not support 'tls'/i.test(text))
    return [
      "failed",
      text.includes("does not support") ? "the server offers no TLS" : "its TLS certificate is not accepted",
      "Check that the URL begins with the right one of nats:// and tls://, and that TENTACULAR_NATS_CA_FILE names the authority that signed its certificate.",
    ];
  return [
    "unreachable",
    "the server cannot be reached",
    "Check TENTACULAR_NATS_URL and that the server is up and reachable from here.",
  ];
}

function codeOf(error: Error): string {
  return "code" in error && typeof error.code === "string" ? error.code : "";
}

function causes(error: unknown): readonly unknown[] {
  const chain: unknown[] = [];
  for (let cause = error; cause !== undefined && chain.length < 8;) {
    chain.push(cause);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return chain;
}
