import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { z } from "zod";
import { ownershipMark } from "../../registrars/nats/claims.ts";
import { postgresNames } from "../../registrars/postgres/names.ts";
import { createTenant } from "../../registrars/rustfs/tenant.ts";
import { labels } from "../../src/cluster/objects.ts";
import { freePort } from "../../src/embedded/port.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { answers } from "../support/load/answers.ts";
import { clear } from "../support/load/clear.ts";
import { openWorld, type World } from "../support/load/world.ts";
import { connect, type TestClient } from "../support/mcp.ts";
import { operate } from "../support/nats.ts";
import { ECHO, workflowOf } from "../support/platform.ts";
import { type RoundRobin, startRoundRobin } from "../support/round-robin.ts";
import { rustfsAdmin } from "../support/rustfs-admin.ts";
import { storeOf } from "../support/rustfs-registrar.ts";
import { type ServeProcess, startServeProcess } from "../support/serve-process.ts";
import { accountsOf } from "./census.ts";

const kubernetes = await testKubernetes();
const services = inject("services");
const { postgres, nats, rustfs } = services;
const missing = [kubernetes, postgres, nats, rustfs].find(({ available }) => !available);
const skip = missing?.available === false ? `: ${missing.reason}` : "";

const ALL = ["tentacular-postgres", "tentacular-nats", "tentacular-rustfs"];
const TENANTS = 3;
const DEPLOYERS = 4;
/** In each round everybody deploys an edition, and a replica is killed when the deploy of one of them is at this step. */
const KILLED_AT = ["register", "apply", "rollout"];

/** A stream that was cut in the middle of a call says nothing more: its client has to call again. */
const CUT_OFF_MS = 15_000;

const historySchema = z.object({
  revision: z.number(),
  history: z.array(z.object({ kind: z.string(), outcome: z.string(), revision: z.number() })),
});
const auditSchema = z.object({
  id: z.string(),
  operation: z.string(),
  step: z.string().optional(),
  outcome: z.string(),
});

interface Deployer {
  readonly enclave: string;
  readonly name: string;
  readonly client: TestClient;
  /** Ids of the operations that it was told have succeeded. */
  readonly told: string[];
  interrupted: number;
}

describe.skipIf(missing !== undefined)(`two replicas of which one is killed again and again${skip}`, () => {
  let world: World;
  let urls: readonly string[] = [];
  let balancer: RoundRobin;
  const replicas: ServeProcess[] = [];
  const deployers: Deployer[] = [];
  const readers: TestClient[] = [];

  beforeAll(async () => {
    if (!kubernetes.available) return;
    world = await openWorld(kubernetes, services, TENANTS);
    const ports = [await freePort(), await freePort()];
    urls = ports.map((port) => `http://127.0.0.1:${port}/mcp`);
    for (const index of ports.keys()) replicas[index] = await startReplica(index);
    balancer = await startRoundRobin(urls);
    for (let index = 0; index < DEPLOYERS; index++) {
      const tenant = world.tenants[index % TENANTS];
      if (tenant === undefined) throw new Error("no tenant");
      const { enclave, tokens } = tenant;
      const client = await connect({ kind: "http", url: balancer.url, token: tokens.deploy });
      deployers.push({ enclave, name: `m${index}-${enclave}`, client, told: [], interrupted: 0 });
      readers.push(await connect({ kind: "http", url: balancer.url, token: tokens.read }));
    }
  });
  afterAll(async () => {
    await Promise.all([...deployers.map(({ client }) => client), ...readers].map((client) => client.close()));
    await balancer.close();
    for (const replica of replicas) {
      replica.signal("SIGTERM");
      await replica.ended;
    }
    await world.close();
  });

  function startReplica(index: number): Promise<ServeProcess> {
    return startServeProcess({
      ...world.environment,
      TENTACULAR_HTTP_PORT: new URL(urls[index] ?? "").port,
      TENTACULAR_AUDIT_FILE: join(world.folder, `audit-${index}.log`),
    });
  }

  /** Which replica the last deploy of a tentacle went to. */
  function replicaOf(name: string): number {
    const asked = balancer.requests.findLast(
      ({ body }) => body.includes('"tools/call"') && body.includes(`name: ${name}\\n`),
    );
    return asked?.replica ?? 0;
  }

  /** Deploys as an agent does: what was cut off it calls again, and while somebody is at it, it waits as the hint says. */
  async function deploy(one: Deployer, edition: number, onStep: (step: string) => void): Promise<void> {
    const { enclave, name, client } = one;
    const workflow = workflowOf(name, ALL).replace('version: "1.0"', `version: "1.0.${edition}"`);
    const args = { enclave, workflow, files: { "nodes/one.ts": `// edition ${edition}\n${ECHO}` } };
    const onprogress = ({ message = "" }: { message?: string }): void =>
      onStep(message.split(":", 1)[0] ?? "");
    for (;;) {
      const result = await client
        .call("deploy", args, { onprogress, timeout: CUT_OFF_MS })
        .catch(() => undefined);
      if (result === undefined) one.interrupted += 1;
      else if (!result.isError) {
        const { version, workload } = answers.deploy.parse(result.structured);
        const { operation } = z.object({ operation: z.string() }).parse(result.structured);
        expect({ version, state: workload.state }).toEqual({ version: `1.0.${edition}`, state: "ready" });
        one.told.push(operation);
        return;
      } else expect(result.structured).toMatchObject({ code: "conflict" });
      await sleep(500);
    }
  }

  /** Reads one tentacle and its enclave until `isOver`; what it reads is right, or the connection was lost. */
  async function read(index: number, edition: number, isOver: () => boolean): Promise<void> {
    const [client, one] = [readers[index], deployers[index]];
    if (client === undefined || one === undefined) return;
    const { enclave, name } = one;
    while (!isOver()) {
      const seen = await client.call("status", { enclave, name }).catch(() => undefined);
      if (seen !== undefined && !(seen.isError && edition === 1)) {
        expect(seen.isError ? seen.text : "").toBe("");
        const status = z.object({ name: z.string(), version: z.string() }).partial({ version: true });
        const { name: found, version } = status.parse(seen.structured);
        expect(found).toBe(name);
        // While a first deploy is under way there is no version yet.
        const before = edition === 1 ? "" : `1.0.${edition - 1}`;
        if (version !== undefined) expect([before, `1.0.${edition}`]).toContain(version);
      }
      const all = await client.call("status", { enclave, limit: 100 }).catch(() => undefined);
      if (all === undefined) continue;
      expect(all.isError ? all.text : "").toBe("");
      const { tentacles } = answers.list.parse(all.structured);
      const strangers = tentacles.filter((tentacle) => !tentacle.name.endsWith(enclave));
      expect(strangers).toEqual([]);
    }
  }

  it("lose no operation, and do none twice", { timeout: 900_000 }, async () => {
    for (const [round, step] of KILLED_AT.entries()) {
      const edition = round + 1;
      let restarted: Promise<void> | undefined;
      const kill = (replica: number): void => {
        const killed = replicas[replica];
        killed?.signal("SIGKILL");
        restarted = (async () => {
          await killed?.ended;
          replicas[replica] = await startReplica(replica);
        })();
      };
      let isOver = false;
      const deploying = (async () => {
        await Promise.all(
          deployers.map((one, index) =>
            deploy(one, edition, (at) => {
              if (index === round && at === step && restarted === undefined) kill(replicaOf(one.name));
            }),
          ),
        );
        await restarted;
      })().finally(() => (isOver = true));
      await Promise.all([deploying, ...deployers.map((_, index) => read(index, edition, () => isOver))]);
      expect(deployers[round]?.interrupted).toBeGreaterThan(0);
    }

    const operator = nats.available ? await operate(nats) : undefined;
    const { installation } = world.database;
    const store = rustfsAdmin(storeOf(rustfs, "tentacular-test"));
    const audits = await Promise.all(
      urls.map((_, index) => auditOf(join(world.folder, `audit-${index}.log`))),
    );
    for (const { enclave, name, client, told } of deployers) {
      const identity = createIdentity(enclave, name);
      const { structured } = await client.call("status", { enclave, name, detail: true, history: true });
      expect(structured).toMatchObject({
        ...{ version: `1.0.${KILLED_AT.length}`, state: "ready", drift: [] },
        dependencies: ALL.map((dependency) => ({ dependency, state: "active" })),
      });
      // Each edition once, by one of its calls or by the server that repaired what it found at its start; nothing else.
      const { revision, history } = historySchema.parse(structured);
      const done = history.filter(({ outcome }) => outcome === "done");
      const deploys = done.filter(({ kind }) => kind === "deploy").length;
      expect(deploys).toBeLessThanOrEqual(KILLED_AT.length);
      expect(done.length).toBeGreaterThanOrEqual(KILLED_AT.length);
      expect(new Set(done.map((one) => one.revision)).size).toBe(revision);

      const { owner } = postgresNames(identity, installation);
      const logins = await world.database.root`
        SELECT rolname FROM pg_roles WHERE starts_with(rolname, ${owner}) AND rolcanlogin`;
      expect(logins).toHaveLength(1);
      if (operator !== undefined)
        expect(await accountsOf(operator, ownershipMark(installation, identity))).toHaveLength(1);
      expect(await store.users(createTenant(identity, installation).base)).toHaveLength(1);
      expect(await objectsOf(enclave, name)).toEqual({
        ...{ configmaps: 2, secrets: 1, services: 1, deployments: 1, networkpolicies: 1 },
      });

      expect(told).toHaveLength(KILLED_AT.length);
      for (const id of told)
        expect(audits.flat().filter((line) => line.id === id && line.step === undefined)).toMatchObject([
          { operation: "deploy", outcome: "ok" },
        ]);
    }
    await operator?.close();
    await clear(world, balancer.url);
    expect(world.controllers.problems).toEqual([]);
  });

  async function objectsOf(enclave: string, name: string): Promise<Record<string, number>> {
    const kinds = {
      configmaps: "/api/v1",
      secrets: "/api/v1",
      services: "/api/v1",
      deployments: "/apis/apps/v1",
      networkpolicies: "/apis/networking.k8s.io/v1",
    };
    const selector = encodeURIComponent(`${labels.tentacle}=${name}`);
    const counts: Record<string, number> = {};
    for (const [kind, group] of Object.entries(kinds)) {
      const path = `${group}/namespaces/${enclave}/${kind}?labelSelector=${selector}`;
      const { items } = z
        .object({ items: z.array(z.unknown()) })
        .parse(await world.kubectl.send("GET", path));
      counts[kind] = items.length;
    }
    return counts;
  }
});

async function auditOf(file: string): Promise<readonly z.output<typeof auditSchema>[]> {
  const text = await readFile(file, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => auditSchema.parse(JSON.parse(line)));
}
