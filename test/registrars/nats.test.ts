import { createAccount, createOperator } from "@nats-io/nkeys";
import { afterAll, inject } from "vitest";
import { nats } from "../../registrars/nats/index.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import {
  connectAs,
  createRegistrar,
  operate,
  type Operator,
  store,
  stored,
  trySubscribe,
  using,
} from "../support/nats.ts";
import { describeRegistrar } from "./contract.ts";

const server = inject("services").nats;
const skip = server.available ? undefined : server.reason;

const hands: Operator | undefined = server.available ? await operate(server) : undefined;
afterAll(() => hands?.close());

function operator(): Operator {
  if (hands === undefined) throw new Error("no nats-server");
  return hands;
}

async function registrar(installation?: string) {
  if (!server.available) throw new Error(server.reason);
  return createRegistrar(server, installation);
}

const probe = server.available ? await registrar() : undefined;
afterAll(() => probe?.close());
const accountOf = (identity: Identity): string => probe?.names(identity).account ?? "";

describeRegistrar({
  name: "nats",
  ...(skip !== undefined && { skip }),
  definition: nats,
  maxNameLength: 150,
  create: registrar,
  login: (credentials) => using(credentials, (connection) => connection.flush()),
  async openSession(credentials) {
    const connection = await connectAs(credentials);
    return { ended: connection.closed(), close: () => connection.close() };
  },
  write: store,
  read: stored,
  attack: (attacker, victim) =>
    using(attacker, (connection) => trySubscribe(connection, `${victim.subject_prefix}>`)),
  async leftovers(identity) {
    const account = accountOf(identity);
    const files = await operator().filesLeft(account);
    return (await operator().lookup(account)) === "" ? files : [...files, account];
  },
  damages: [
    { name: "the account is deleted", apply: (identity) => operator().remove(accountOf(identity)) },
    {
      name: "an account that knows another credential is put back",
      apply: (identity) =>
        operator().edit(accountOf(identity), (claims) => {
          claims.signing_keys = [createAccount().getPublicKey()];
        }),
    },
    {
      name: "a limit is lifted",
      apply: (identity) =>
        operator().edit(accountOf(identity), (claims) => {
          claims.limits = { ...claims.limits, conn: -1 };
        }),
    },
    {
      name: "all users are revoked",
      apply: (identity) =>
        operator().edit(accountOf(identity), (claims) => {
          claims.revocations = { "*": Math.floor(Date.now() / 1000) };
        }),
    },
    {
      name: "the account is signed by a stranger",
      apply: (identity) => operator().edit(accountOf(identity), () => {}, createOperator().getSeed()),
    },
  ],
  removeHalf: (identity) => operator().remove(accountOf(identity)),
  async occupy(identity) {
    const account = accountOf(identity);
    const claims = {
      description: "tentacular:other:contract/x",
      limits: { conn: 1, subs: 1, data: 1, payload: 1 },
    };
    await operator().push(await operator().sign("somebody", account, claims));
    return {
      fingerprint: () => operator().lookup(account),
      remove: () => operator().remove(account),
    };
  },
});
