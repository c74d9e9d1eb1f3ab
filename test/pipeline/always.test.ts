import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { z } from "zod";
import { readEngineBundle } from "../../src/engine/bundle.ts";
import { createExoskeleton } from "../../src/exoskeleton/exoskeleton.ts";
import { defineRegistrar } from "../../src/exoskeleton/registrar.ts";
import { silentLogger } from "../../src/log.ts";
import { readCredentials } from "../../src/pipeline/credentials.ts";
import { createOperations } from "../../src/pipeline/index.ts";
import type { Operations } from "../../src/pipeline/operations.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import {
  createTestPlatform,
  ECHO,
  freshCall,
  freshName,
  type TestPlatform,
  workflowOf,
} from "../support/platform.ts";

/** A service that gives every tentacle a badge, a file, and keeps nothing after it. */
const badges = defineRegistrar({
  service: "badges",
  dependency: "tentacular-badges",
  protocol: "badge",
  summary: "A badge.",
  always: true,
  keepsNothing: true,
  fields: [{ name: "badge", secret: false, doc: "The badge." }],
  settings: {
    folder: { env: "TENTACULAR_BADGES", schema: z.string(), required: true, secret: false, doc: "Where." },
  },
  async create({ folder }) {
    const nameOf = ({ hash }: Identity): string => `badge-${hash}`;
    const exists = async (identity: Identity): Promise<boolean> =>
      (await readdir(folder)).includes(nameOf(identity));
    const registered = async (identity: Identity) => {
      const created = (await exists(identity)) ? [] : ["badge"];
      await writeFile(join(folder, nameOf(identity)), "");
      return { credentials: { protocol: "badge", badge: nameOf(identity) }, created, repaired: [] };
    };
    return {
      names: (identity) => ({ badge: nameOf(identity) }),
      probe: async () => ({
        available: (await readdir(folder)).includes("open"),
        reason: "closed",
        latencyMs: 1,
      }),
      register: registered,
      inspect: async (identity) => ({ exists: await exists(identity), facts: {}, drift: [] }),
      rotate: registered,
      retire: async () => undefined,
      revert: async (identity, created) => {
        if (created.length > 0) await rm(join(folder, nameOf(identity)), { force: true });
      },
      async unregister(identity) {
        const removed = (await exists(identity)) ? ["badge"] : [];
        await rm(join(folder, nameOf(identity)), { force: true });
        return { removed, failed: [] };
      },
      // A badge does not say whose it is.
      marks: async () => [],
      close: async () => undefined,
    };
  },
});

describe("a service that every tentacle gets", () => {
  const enclave = freshName("badges");
  const files = { "nodes/one.ts": ECHO };
  const identity = createIdentity(enclave, "hello");
  let platform: TestPlatform;
  let operations: Operations;
  let folder: string;

  const issued = async (): Promise<readonly string[]> =>
    (await readdir(folder)).filter((name) => name.startsWith("badge-"));
  const secret = () => readCredentials(platform.cluster, identity, new AbortController().signal);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tentacular-badges-"));
    await writeFile(join(folder, "open"), "");
    platform = await createTestPlatform(inject("services"), []);
    operations = createOperations({
      cluster: platform.cluster,
      exoskeleton: createExoskeleton({
        definitions: [badges],
        config: { badges: { enabled: true, settings: { folder } } },
        installation: "test",
        log: silentLogger,
      }),
      defaultEnclave: enclave,
      cleanupOnUndeploy: false,
      engine: readEngineBundle,
      log: silentLogger,
      onSecret: () => undefined,
    });
  });
  afterAll(async () => {
    await platform.close();
    await rm(folder, { recursive: true, force: true });
  });

  test("is provisioned undeclared, shown, and gone with an undeploy that retains nothing of it", async () => {
    const request = { enclave, workflow: workflowOf("hello"), files };
    const first = await operations.deploy(request, freshCall());
    expect(first.dependencies).toMatchObject([{ dependency: "tentacular-badges", created: ["badge"] }]);
    expect(first.workflow).toBe(request.workflow);
    expect(await secret()).toEqual({});
    expect(await issued()).toHaveLength(1);
    expect(await operations.deploy(request, freshCall())).toMatchObject({ changed: false, revision: 1 });

    const status = await operations.status({ enclave, name: "hello", detail: true }, freshCall());
    expect(status.dependencies).toMatchObject([{ dependency: "tentacular-badges", state: "active" }]);

    const gone = await operations.undeploy({ enclave, name: "hello" }, freshCall());
    expect(gone).toMatchObject({ retained: [], failed: [] });
    expect(gone.removed).toContain("badges badge");
    expect(await issued()).toEqual([]);
    await expect(operations.status({ enclave, name: "hello" }, freshCall())).rejects.toThrow("no tentacle");
  });

  test("stands in contract and Secret where it is declared", async () => {
    const workflow = workflowOf("hello", ["tentacular-badges"]);
    const { workflow: enriched, dependencies } = await operations.deploy(
      { enclave, workflow, files },
      freshCall(),
    );
    const [badge = ""] = await issued();
    expect(dependencies).toHaveLength(1);
    expect(enriched).toContain(`badge: ${badge}`);
    expect(await secret()).toEqual({ "tentacular-badges": { protocol: "badge", badge } });
    await operations.undeploy({ enclave, name: "hello", force: true }, freshCall());
    expect(await issued()).toEqual([]);
  });

  test("that is down refuses every deploy before anything is written", async () => {
    await rm(join(folder, "open"));
    await expect(
      operations.deploy({ enclave, workflow: workflowOf("hello"), files }, freshCall()),
    ).rejects.toThrow("exoskeleton: badges unavailable: closed");
    expect(await platform.cluster.owned(identity, new AbortController().signal)).toEqual([]);
  });
});
