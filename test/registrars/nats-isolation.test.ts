import { randomBytes } from "node:crypto";
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { inboxPrefix, LIMITS, subjectPrefix } from "../../registrars/nats/claims.ts";
import type { Call, Credentials, Registrar } from "../../src/exoskeleton/registrar.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { createAccountsRegistrar, runWithAccounts } from "../support/nats-accounts.ts";
import { authenticatorOf, connectAs, createRegistrar, trySubscribe } from "../support/nats.ts";

const server = inject("services").nats;
if (!server.available) console.warn(`the isolation tests of NATS are skipped: ${server.reason}`);

interface Started {
  readonly registrar: Registrar;
  stop(): Promise<unknown>;
}

const modes: readonly (readonly [string, () => Promise<Started>])[] = [
  [
    "in operator mode",
    async () => {
      if (!server.available) throw new Error(server.reason);
      const registrar = await createRegistrar(server);
      return { registrar, stop: () => registrar.close() };
    },
  ],
  [
    "with accounts in a file",
    async () => {
      const own = await runWithAccounts();
      return { registrar: await createAccountsRegistrar(own), stop: () => own.remove() };
    },
  ],
];

describe.skipIf(!server.available).each(modes)("one tentacle on NATS %s attacks another", (_mode, start) => {
  let started: Started;
  let registrar: Registrar;
  let victimId: Identity;
  let attackerId: Identity;
  let victimCredentials: Credentials;
  let attackerCredentials: Credentials;
  const connections: NatsConnection[] = [];

  const call = (): Call => ({ signal: AbortSignal.timeout(45_000) });

  beforeAll(async () => {
    started = await start();
    registrar = started.registrar;
    const suffix = randomBytes(4).toString("hex");
    victimId = createIdentity("team-a", `victim-${suffix}`);
    // The closest neighbour: the victim's name is the beginning of the attacker's.
    attackerId = createIdentity("team-a", `victim-${suffix}-x`);
    victimCredentials = (await registrar.register(victimId, undefined, call())).credentials;
    attackerCredentials = (await registrar.register(attackerId, undefined, call())).credentials;
  });
  afterEach(async () => {
    await Promise.all(connections.splice(0).map((connection) => connection.close()));
  });
  afterAll(async () => {
    for (const identity of [victimId, attackerId])
      await registrar.unregister(identity, { data: "delete" }, call());
    await started.stop();
  });

  async function open(credentials: Credentials): Promise<NatsConnection> {
    const connection = await connectAs(credentials);
    connections.push(connection);
    return connection;
  }

  async function refusal(work: Promise<unknown>): Promise<string> {
    const error: unknown = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof Error)) throw new Error("it was allowed");
    return `${error.message} ${error.cause instanceof Error ? error.cause.message : ""}`;
  }

  it.each([
    ">",
    "*",
    "*.>",
    "tentacular.>",
    "tentacular.team-a.>",
    "tentacular.*.*.>",
    "_INBOX.>",
    "_INBOX_*.>",
    "$SYS.>",
    "$SYS.ACCOUNT.>",
    "$JS.API.>",
    "$JS.EVENT.>",
  ])("may not subscribe to %s", async (subject) => {
    expect(await refusal(trySubscribe(await open(attackerCredentials), subject))).toMatch(
      /permissions violation/i,
    );
  });

  it("fault 42: may not subscribe to the victim's subjects or inbox", async () => {
    const connection = await open(attackerCredentials);
    for (const subject of [`${subjectPrefix(victimId)}>`, `${inboxPrefix(victimId)}.>`])
      expect(await refusal(trySubscribe(connection, subject))).toMatch(/permissions violation/i);
  });

  it("fault 42: may not ask the server about others, nor change accounts", async () => {
    const connection = await open(attackerCredentials);
    const account = String(registrar.names(victimId).account);
    for (const subject of [
      "$SYS.REQ.ACCOUNT.PING.CONNZ",
      "$SYS.REQ.SERVER.PING",
      "$SYS.REQ.SERVER.PING.CONNZ",
      `$SYS.REQ.ACCOUNT.${account}.CONNZ`,
      `$SYS.REQ.ACCOUNT.${account}.CLAIMS.LOOKUP`,
      "$SYS.REQ.CLAIMS.LIST",
      "$SYS.REQ.CLAIMS.UPDATE",
      "$SYS.REQ.CLAIMS.DELETE",
    ])
      expect(await refusal(connection.request(subject, "", { timeout: 20_000 })), subject).toMatch(
        /permissions violation/i,
      );
  });

  it("fault 42: reaches nobody by publishing to the victim's subjects", async () => {
    const victim = await open(victimCredentials);
    const received: string[] = [];
    victim.subscribe(`${subjectPrefix(victimId)}>`, {
      callback: (_error, message) => {
        received.push(message.string());
      },
    });
    await victim.flush();

    const attacker = await open(attackerCredentials);
    expect(
      await refusal(attacker.request(`${subjectPrefix(victimId)}x`, "forged", { timeout: 20_000 })),
    ).toMatch(/permissions violation/i);
    attacker.publish(`${inboxPrefix(victimId)}.x`, "forged");
    await attacker.flush();
    victim.publish(`${subjectPrefix(victimId)}x`, "own");
    await expect.poll(() => received).toEqual(["own"]);
  });

  it("sees none of the victim's messages through a stream on the victim's subjects", async () => {
    const { streams } = await jetstreamManager(await open(attackerCredentials));
    await streams.add({
      name: "spy",
      subjects: [`${subjectPrefix(victimId)}>`, `${inboxPrefix(victimId)}.>`],
    });
    const victim = await open(victimCredentials);
    const manager = await jetstreamManager(victim);
    await manager.streams.add({ name: "own", subjects: [`${subjectPrefix(victimId)}kept`] });
    await jetstream(victim).publish(`${subjectPrefix(victimId)}kept`, "secret");
    expect((await streams.info("spy")).state.messages).toBe(0);
    expect((await manager.streams.info("own")).state.messages).toBe(1);

    // Streams of the same name are two streams.
    expect(await streams.delete("spy")).toBe(true);
    expect(await refusal(streams.info("own"))).toMatch(/not found/);
  });

  it("has its own subjects, replies, streams and buckets", async () => {
    const connection = await open(attackerCredentials);
    connection.subscribe(`${subjectPrefix(attackerId)}echo`, {
      callback: (_error, message) => {
        message.respond(message.data);
      },
    });
    expect(
      (await connection.request(`${subjectPrefix(attackerId)}echo`, "hello", { timeout: 20_000 })).string(),
    ).toBe("hello");

    const { streams, consumers } = await jetstreamManager(connection);
    await streams.add({ name: "KV_bucket", subjects: ["$KV.bucket.>"], max_msgs_per_subject: 1 });
    await jetstream(connection).publish("$KV.bucket.key", "value");
    await consumers.add("KV_bucket", { durable_name: "reader", ack_policy: AckPolicy.Explicit });
    const consumer = await jetstream(connection).consumers.get("KV_bucket", "reader");
    const message = await consumer.next({ expires: 20_000 });
    expect(message?.string()).toBe("value");
    expect(await message?.ackAck()).toBe(true);
    await streams.delete("KV_bucket");
  });

  it("gets no reply without its inbox prefix, so the credentials name it", async () => {
    const connection = await connect({
      servers: String(attackerCredentials.url),
      authenticator: authenticatorOf(attackerCredentials),
      reconnect: false,
    });
    connections.push(connection);
    expect(
      await refusal(connection.request(`${subjectPrefix(attackerId)}x`, "", { timeout: 20_000 })),
    ).toMatch(/permissions violation for subscription/i);
  });

  it("fault 43: exhausts only its own connections; its register still sees that the credentials work", async () => {
    for (let count = 0; count < LIMITS.conn; count++) await open(attackerCredentials);
    await refusal(open(attackerCredentials));
    await (await open(victimCredentials)).flush();
    expect(await registrar.register(attackerId, attackerCredentials, call())).toEqual({
      credentials: attackerCredentials,
      created: [],
      repaired: [],
    });
    expect((await registrar.inspect(attackerId, attackerCredentials, call())).drift).toEqual([]);
  });

  it("fault 43: exhausts only its own subscriptions", async () => {
    const connection = await open(attackerCredentials);
    const refused = new Set<string>();
    void (async () => {
      for await (const status of connection.status())
        if (status.type === "error") refused.add(status.error.message);
    })();
    for (let count = 0; count < 10_000; count++)
      connection.subscribe(`${subjectPrefix(attackerId)}s${count}`);
    await connection.flush();
    expect([...refused].join()).toMatch(/maximum subscriptions exceeded/i);
    await trySubscribe(await open(victimCredentials), `${subjectPrefix(victimId)}>`);
  });

  it("fault 43: exhausts only its own streams, consumers and storage", async () => {
    const { streams, consumers } = await jetstreamManager(await open(attackerCredentials));
    const add = (name: string, more: object = {}) =>
      streams.add({ name, subjects: [`${subjectPrefix(attackerId)}${name}`], ...more });
    expect(await refusal(add("too-large", { max_bytes: LIMITS.disk_storage + 1 }))).toMatch(/storage/i);
    expect(await refusal(add("in-memory", { storage: "memory" }))).toMatch(/memory|storage/i);

    for (let count = 0; count < LIMITS.streams; count++) await add(`s${count}`);
    expect(await refusal(add("one-too-many"))).toMatch(/maximum number of streams/i);
    for (let count = 0; count < LIMITS.consumer; count++)
      await consumers.add("s0", { durable_name: `c${count}` });
    expect(await refusal(consumers.add("s0", { durable_name: "one-too-many" }))).toMatch(
      /maximum consumers/i,
    );

    const victim = await jetstreamManager(await open(victimCredentials));
    await victim.streams.add({ name: "room", subjects: [`${subjectPrefix(victimId)}room`] });
    await victim.consumers.add("room", { durable_name: "reader" });
    for (let count = 0; count < LIMITS.streams; count++) await streams.delete(`s${count}`);
  });
});

describe("fault 5: the subjects of any tentacle", () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);

  it("hold no wildcard and no more tokens than they should", () => {
    fc.assert(
      fc.property(label, label, (enclave, name) => {
        const identity = createIdentity(enclave, name);
        expect(subjectPrefix(identity)).toMatch(/^tentacular\.[a-z0-9-]+\.[a-z0-9-]+\.$/);
        expect(inboxPrefix(identity)).toMatch(/^_INBOX_[a-z2-7]{16}$/);
      }),
      { numRuns: 5_000 },
    );
  });

  it.each(["*", ">", "a.b", "a b", "a*", "$SYS", "", "\0"])("cannot be made from %j", (bad) => {
    expect(() => createIdentity(bad, "name")).toThrow(/DNS-1123|is empty/);
    expect(() => createIdentity("enclave", bad)).toThrow(/DNS-1123|is empty/);
  });
});
