import { createUser } from "@nats-io/nkeys";
import { afterAll, expect, inject, test } from "vitest";
import { nats } from "../../registrars/nats/index.ts";
import type { Registrar } from "../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../src/tentacle/identity.ts";
import {
  type AccountsServer,
  createAccountsRegistrar,
  FOREIGN,
  runWithAccounts,
} from "../support/nats-accounts.ts";
import { connectAs, store, stored, trySubscribe, using } from "../support/nats.ts";
import { describeRegistrar } from "./contract.ts";

const shared = inject("services").nats;
const started: AccountsServer | undefined = shared.available ? await runWithAccounts() : undefined;
const names: Registrar | undefined = started && (await createAccountsRegistrar(started));
afterAll(() => started?.remove());

function server(): AccountsServer {
  if (started === undefined) throw new Error("no nats-server");
  return started;
}
const accountOf = (identity: Identity): string => names?.names(identity).account ?? "";

/** Takes the tentacle's account out of the file. */
function without(text: string, identity: Identity): string {
  const mark = `# tentacular:test:${identity.key}`;
  const [start, end] = [text.indexOf(`${mark} begin\n`), text.indexOf(`${mark} end\n`)];
  if (start < 0) throw new Error("there is no such account");
  return text.slice(0, start) + text.slice(end + `${mark} end\n`.length);
}

let how = 0;
describeRegistrar({
  name: "nats with accounts in a file",
  ...(!shared.available && { skip: shared.reason }),
  definition: nats,
  maxNameLength: 150,
  // The two servers of the suite tell nats-server to reload in the two ways there are.
  create: (installation = "test") =>
    createAccountsRegistrar(server(), { installation, by: how++ % 2 === 0 ? "system user" : "pid file" }),
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
    const files = await server().filesLeft(accountOf(identity));
    return (await server().text()).includes(accountOf(identity)) ? [...files, accountOf(identity)] : files;
  },
  damages: [
    {
      name: "the account is taken out",
      apply: (identity) => server().edit((text) => without(text, identity)),
    },
    {
      name: "another user stands in its place",
      apply: (_identity, { user }) =>
        server().edit((text) => text.replaceAll(String(user), createUser().getPublicKey())),
    },
    {
      name: "a limit is lifted",
      apply: () => server().edit((text) => text.replace(/"max_connections":20/, '"max_connections":2000')),
    },
    {
      name: "a permission is widened",
      apply: () => server().edit((text) => text.replace(/"tentacular\.contract[^"]*"/, '">"')),
    },
    {
      name: "it is rewritten in another syntax",
      apply: (_identity, { user }) =>
        server().edit((text) => text.replace(`"nkey":"${String(user)}"`, `nkey: ${String(user)}`)),
    },
  ],
  removeHalf: (identity) => server().edit((text) => without(text, identity)),
  async occupy(identity) {
    const line = `${accountOf(identity)}: { users: [ { user: somebody, password: else } ] }\n`;
    await server().edit((text) => line + text);
    return {
      fingerprint: async () => ((await server().text()).includes(line) ? line : "changed"),
      remove: () => server().edit((text) => text.replace(line, "")),
    };
  },
});

test.skipIf(!shared.available)("after all that the foreign text is as it was", async () => {
  const text = await server().text();
  expect(text.endsWith(`\n${FOREIGN}`)).toBe(true);
  expect(text.slice(0, -FOREIGN.length)).toMatch(
    /^(?:# tentacular:(\S+):self-test begin\n[^#]*# tentacular:\1:self-test end\n){2}$/,
  );
});
