import type { NatsConnection } from "@nats-io/transport-node";
import { parseAddress } from "../../registrars/nats/address.ts";
import {
  inboxPrefix,
  issueUser,
  ownershipMark,
  signAccount,
  subjectPrefix,
  tentaclePermissions,
} from "../../registrars/nats/claims.ts";
import { login, type Reach } from "../../registrars/nats/connection.ts";
import { deriveKey, keyFromSeed } from "../../registrars/nats/keys.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import type { NatsServer } from "../../test/support/services.ts";
import type { FloorService } from "./service.ts";

/** Account and user, over one kept connection of the same system user. Keys and signatures are ours: by `node:crypto`. */
export async function createNatsFloor(server: NatsServer, installation: string): Promise<FloorService> {
  const address = parseAddress(server.url);
  if (address === undefined) throw new Error(`no address of NATS: ${server.url}`);
  const reach: Reach = { address, caFile: undefined };
  const operator = keyFromSeed(server.operatorSeed, "O");
  const secret = Buffer.from(server.operatorSeed);
  const system = await login(reach, server.systemCreds, "_INBOX_exo");
  const accountOf = ({ key }: Identity): string =>
    deriveKey("A", secret, `nats account ${key}`).getPublicKey();

  async function push(identity: Identity) {
    const account = accountOf(identity);
    const issued = await issueUser(identity.key, account, tentaclePermissions(identity));
    const mark = ownershipMark(installation, identity);
    const plan = { mark, credentials: [issued.credential], revocations: {} };
    const jwt = await signAccount(identity, account, plan, operator);
    const answer = (await system.request("$SYS.REQ.CLAIMS.UPDATE", jwt, { timeout: 30_000 })).string();
    if (answer.includes('"error"')) throw new Error(`NATS refuses an account: ${answer}`);
    return issued;
  }

  const credentials = (identity: Identity, { creds, user }: { creds: string; user: string }) => ({
    ...{ protocol: "nats", host: address.host, port: address.port, url: address.url, auth_method: "creds" },
    ...{ subject_prefix: subjectPrefix(identity), inbox_prefix: inboxPrefix(identity), user, creds },
  });

  return {
    look: (identity) =>
      system.request(`$SYS.REQ.ACCOUNT.${accountOf(identity)}.CLAIMS.LOOKUP`, "", { timeout: 30_000 }),

    bare: async (identity) => credentials(identity, await push(identity)),

    /** Beside the bare: a log-in with the credential, which also finds out that the account has room for its streams. */
    async promised(identity) {
      const issued = await push(identity);
      const own = await login(reach, issued.creds, inboxPrefix(identity));
      await requireStreams(own);
      await own.close();
      return credentials(identity, issued);
    },

    close: () => system.close(),
  };
}

async function requireStreams(connection: NatsConnection): Promise<void> {
  const answer = (await connection.request("$JS.API.INFO", "", { timeout: 30_000 })).string();
  if (answer.includes('"error"')) throw new Error(`the account has no streams: ${answer}`);
}
