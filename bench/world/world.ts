import { readEngineBundle } from "../../src/engine/bundle.ts";
import type { Credentials } from "../../src/exoskeleton/registrar.ts";
import type { DeployRequest } from "../../src/pipeline/operations.ts";
import { recordObject } from "../../src/pipeline/record.ts";
import { createPlatform, type Platform } from "../../src/platform.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { buildManifests } from "../../src/tentacle/manifests.ts";
import { parseWorkflow } from "../../src/tentacle/parse.ts";
import { createEnclave, type TestEnclave } from "../../test/support/kubernetes-enclave.ts";
import { type KubernetesServer, startKubernetes } from "../../test/support/kubernetes.ts";
import { ECHO, workflowOf } from "../../test/support/platform.ts";
import { createDeployFloor, type DeployFloor, type Prepared } from "../floor/deploy.ts";
import { createKubernetesFloor } from "../floor/kubernetes.ts";
import { createNatsFloor } from "../floor/nats.ts";
import { createPostgresFloor } from "../floor/postgres.ts";
import { createRustfsFloor } from "../floor/rustfs.ts";
import { type BenchServices, startBenchServices } from "./services.ts";

/** What every tentacle of the bench depends on. */
export const DEPENDENCIES = ["tentacular-postgres", "tentacular-nats", "tentacular-rustfs"];

/** A real API server with an enclave, the real services, a platform of ours on them, and the floors beside it. */
export interface World extends BenchServices {
  readonly kubernetes: KubernetesServer;
  readonly enclave: TestEnclave;
  readonly environment: Readonly<Record<string, string>>;
  readonly platform: Platform;
  readonly floor: DeployFloor;
  /** A name that nothing has yet. */
  readonly nextName: () => string;
  /** What `deploy` takes. */
  readonly requestOf: (name: string) => DeployRequest;
  /** The same for the floors. */
  readonly prepare: (name: string) => Promise<Prepared>;
}

/** The node that every tentacle has. */
const FILES = { "nodes/one.ts": ECHO };

/** Starts all of it; `stop` ends it and removes what it wrote. */
export async function startWorld(): Promise<World> {
  const [backing, { server, stop: stopKubernetes }] = await Promise.all([
    startBenchServices(),
    startKubernetes(),
  ]);
  const stopServers = async (): Promise<void> => {
    await Promise.all([backing.stop(), stopKubernetes()]);
  };
  try {
    return await createWorld(backing, server, stopServers);
  } catch (error) {
    await stopServers();
    throw error;
  }
}

async function createWorld(
  backing: BenchServices,
  kubernetes: KubernetesServer,
  stopServers: () => Promise<void>,
): Promise<World> {
  const enclave = await createEnclave(kubernetes);
  // A controller would make it; the pods that are played need it, and the first of them come side by side.
  const accounts = `/api/v1/namespaces/${enclave.name}/serviceaccounts`;
  await enclave.kubectl.send("POST", accounts, { metadata: { name: "default" } });
  const environment = { ...backing.environment, ...clusterEnvironment(enclave) };
  const platform = await createPlatform({ environment });
  const { floor, close } = await createFloor(backing, kubernetes);
  let counter = 0;
  return {
    ...backing,
    kubernetes,
    enclave,
    environment,
    platform,
    floor,
    nextName() {
      counter += 1;
      return `hello-${String(counter).padStart(6, "0")}`;
    },
    requestOf: (name) => ({ workflow: workflowOf(name, DEPENDENCIES), files: FILES, enclave: enclave.name }),
    prepare: (name) => prepare(enclave.name, name),
    async stop() {
      await platform.close();
      await close();
      await enclave.remove();
      await stopServers();
    },
  };
}

function clusterEnvironment(enclave: TestEnclave): Readonly<Record<string, string>> {
  return {
    TENTACULAR_CLUSTER: "kubernetes",
    TENTACULAR_KUBECONFIG: enclave.kubeconfig,
    TENTACULAR_ENCLAVE: enclave.name,
    TENTACULAR_LOG_LEVEL: "error",
  };
}

async function createFloor(
  { services, database, bucket }: BenchServices,
  server: KubernetesServer,
): Promise<{ readonly floor: DeployFloor; readonly close: () => Promise<void> }> {
  const { nats, rustfs } = services;
  if (!nats.available || !rustfs.available) throw new Error("not all services are there");
  const kubernetes = createKubernetesFloor(server);
  const parts = {
    "tentacular-postgres": createPostgresFloor(database),
    "tentacular-nats": await createNatsFloor(nats, database.installation),
    "tentacular-rustfs": createRustfsFloor({ ...rustfs, bucket }, database.installation),
  };
  return {
    floor: createDeployFloor(kubernetes, parts),
    async close() {
      await Promise.all(Object.values(parts).map((part) => part.close()));
      kubernetes.close();
    },
  };
}

async function prepare(enclave: string, name: string): Promise<Prepared> {
  const identity = createIdentity(enclave, name);
  const workflow = workflowOf(name, DEPENDENCIES);
  const { tentacle } = parseWorkflow(workflow);
  const filled = Object.fromEntries(
    DEPENDENCIES.map((dependency) => [
      dependency,
      { protocol: dependency, fields: { host: "127.0.0.1", port: 1, name: "a name in the service" } },
    ]),
  );
  const all = buildManifests({
    identity,
    tentacle,
    workflow,
    source: workflow,
    files: FILES,
    engine: { files: await readEngineBundle() },
    credentials: Object.fromEntries(DEPENDENCIES.map((dependency) => [dependency, {}])),
    secrets: {},
    filled,
  });
  const objects = all.filter(({ metadata }) => !metadata.name.startsWith("tentacular-engine-"));
  const secret = objects.find(({ kind }) => kind === "Secret");
  if (secret === undefined) throw new Error("there is no Secret");
  const record = recordObject(identity, {
    format: 1,
    version: tentacle.version,
    revision: 1,
    state: "deployed",
    deployedAt: new Date().toISOString(),
    stages: [["one"]],
    dependencies: Object.fromEntries(
      DEPENDENCIES.map((name) => [name, { service: name, state: "active", names: {} }]),
    ),
  });
  return {
    identity,
    record,
    objects: objects.filter((object) => object !== secret),
    secretOf: (credentials) => ({ ...secret, data: encode(credentials) }),
  };
}

function encode(credentials: Readonly<Record<string, Credentials>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(credentials).map(([name, value]) => [
      name,
      Buffer.from(JSON.stringify(value)).toString("base64"),
    ]),
  );
}
