import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { withoutDependencies } from "../../src/cli/demo/without.ts";
import type { Credentials, Registrar } from "../../src/exoskeleton/registrar.ts";
import { readTentacleFolder } from "../../src/folder/read-folder.ts";
import { scaffold } from "../../src/scaffold/scaffold.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { createTestDatabase, type TestDatabase } from "../registrars/postgres-server.ts";
import { startEngine } from "../support/engine.ts";
import { connectAs, createRegistrar as createNats } from "../support/nats.ts";
import { createRustfs, storeOf } from "../support/rustfs-registrar.ts";

const { postgres, nats, rustfs } = inject("services");
async function read(example: string): Promise<{ workflow: string; files: Readonly<Record<string, string>> }> {
  const { workflow, files } = await readTentacleFolder(
    new URL(`../../examples/${example}`, import.meta.url).pathname,
  );
  return { workflow, files };
}
const call = () => ({ signal: AbortSignal.timeout(30_000) });

it("hello greets", async () => {
  const engine = await startEngine(await read("hello"));
  try {
    expect(await engine.run({ name: "Ada" })).toMatchObject({ result: { greeting: "Hello, Ada!" } });
  } finally {
    await engine.stop();
  }
});

describe.skipIf(!postgres.available)("with the services there are", () => {
  const registrars: Record<string, Registrar> = {};
  let database: TestDatabase;
  beforeAll(async () => {
    if (!postgres.available) return;
    database = await createTestDatabase(postgres, "createrole");
    registrars["tentacular-postgres"] = await database.registrar();
    if (nats.available) registrars["tentacular-nats"] = await createNats(nats);
    if (rustfs.available) registrars["tentacular-rustfs"] = await createRustfs(storeOf(rustfs, "examples"));
  });
  afterAll(async () => {
    await Promise.all(Object.values(registrars).map((registrar) => registrar.close()));
    await database.drop();
  });

  /** What deploying would provision for a tentacle of its own, and how to remove it. */
  async function provision(): Promise<{
    readonly credentials: Record<string, Credentials>;
    readonly remove: () => Promise<void>;
  }> {
    const identity = createIdentity("team-a", `example-${randomBytes(4).toString("hex")}`);
    const credentials: Record<string, Credentials> = {};
    for (const [name, registrar] of Object.entries(registrars))
      ({ credentials: credentials[name] } = await registrar.register(identity, undefined, call()));
    return {
      credentials,
      remove: async () => {
        for (const registrar of Object.values(registrars))
          await registrar.unregister(identity, { data: "delete" }, call());
      },
    };
  }

  it("event-ledger stores events, reads them back, and publishes and keeps the summary", async () => {
    const { workflow, files } = await read("event-ledger");
    const missing = ["tentacular-nats", "tentacular-rustfs"].filter((name) => !(name in registrars));
    const { credentials, remove } = await provision();
    const engine = await startEngine({
      workflow: withoutDependencies(workflow, missing),
      files,
      credentials,
    });
    try {
      const events = [{ kind: "order", amount: 40 }, { kind: "refund", amount: -5 }, { kind: "order" }];
      const first = await engine.run({ events });
      expect(first).toMatchObject({
        ok: true,
        result: { events: 2, total: 35, by_kind: { order: 40, refund: -5 } },
      });
      // What the second run counts, the first one wrote.
      const second = { kind: "order", amount: 2 };
      if (nats.available) {
        const own = credentials["tentacular-nats"] ?? {};
        const client = await connectAs(own);
        const prefix = String(own.subject_prefix);
        const heard = client.subscribe(`${prefix}summary`, { max: 1 });
        await client.flush();
        const reply = await client.request(`${prefix}events`, JSON.stringify(second), { timeout: 40_000 });
        expect(reply.json()).toMatchObject({ ok: true, result: { events: 3, total: 37 } });
        for await (const message of heard) expect(message.json()).toMatchObject({ events: 3, total: 37 });
        await client.close();
      } else expect(await engine.run(second)).toMatchObject({ result: { events: 3, total: 37 } });
      if (rustfs.available) expect(JSON.stringify(first)).toContain("summary.json");
    } finally {
      await engine.stop();
      await remove();
    }
  });

  it("a new tentacle with all of them runs as it is", async () => {
    const words = Object.keys(registrars).map((name) => name.replace("tentacular-", ""));
    const { "workflow.yaml": workflow = "", ...files } = scaffold({
      name: "fresh",
      with: words,
      version: "0.1.0",
    });
    const { credentials, remove } = await provision();
    const engine = await startEngine({ workflow, files, credentials });
    try {
      await engine.run({ name: "Ada" });
      expect(await engine.run({ name: "Bob" })).toMatchObject({
        ok: true,
        result: { greeting: "Hello, Bob!", stored: 2 },
      });
    } finally {
      await engine.stop();
      await remove();
    }
  });
});
