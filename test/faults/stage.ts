import { inject } from "vitest";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { createEnclave } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";
import { createTestPlatform, ECHO, freshCall, freshName, workflowOf } from "../support/platform.ts";
import { playPods } from "../support/pod-player.ts";
import { whyMissing } from "../support/services.ts";
import { viewApi } from "./cluster-view.ts";
import type { Order } from "./orders.ts";
import { PATIENT } from "./patient.ts";
import { createServers, type Servers } from "./servers.ts";
import { openWorld, type World, worldOf } from "./world.ts";

/** Real services, a server of this process that runs the tentacles, and server processes to kill. */
export interface Stage extends World {
  readonly servers: Servers;
}

/** Where the tentacles run: on this machine, or on a real API server, their pods played. */
export type Place = "local" | "Kubernetes";

/** Why the fault suite cannot run here; undefined when it can. */
export async function missingServices(place: Place): Promise<string | undefined> {
  const { postgres, nats, rustfs } = inject("services");
  const cluster = place === "local" ? [] : [await testKubernetes()];
  return whyMissing(postgres, nats, rustfs, ...cluster);
}

const ALL_SERVICES = ["postgres", "nats", "rustfs"] as const;

export function openStage(place: Place): Promise<Stage> {
  return place === "local" ? openLocalStage() : openKubernetesStage();
}

async function openLocalStage(): Promise<Stage> {
  return withServers(await openWorld(inject("services"), PATIENT));
}

/** On an enclave of its own; one that is `used` has the engine that its tentacles share already. */
export async function openKubernetesStage(enclaveIs: "used" | "untouched" = "used"): Promise<Stage> {
  const server = await testKubernetes();
  if (!server.available) throw new Error(server.reason);
  const enclave = await createEnclave(server);
  const { name, kubeconfig, kubectl } = enclave;
  const platform = await createTestPlatform(
    inject("services"),
    ALL_SERVICES,
    { TENTACULAR_CLUSTER: "kubernetes", TENTACULAR_KUBECONFIG: kubeconfig },
    PATIENT,
  );
  const player = playPods(kubectl, name);
  const stage = withServers(await worldOf(inject("services"), platform, name, viewApi(kubectl)));
  // The engine, which the tentacles of an enclave share, is written by the first of them alone.
  if (enclaveIs === "used") {
    const first = freshName("first");
    await carryOut(stage, deployOrder(name, first, []));
    await carryOut(stage, undeployOrder(name, first, true));
  }
  return {
    ...stage,
    async close() {
      await stage.close();
      await player.close();
      await enclave.remove();
    },
  };
}

function withServers(world: World): Stage {
  const servers = createServers(world.platform.stateDir, world.platform.environment);
  return {
    ...world,
    servers,
    async close() {
      await servers.close();
      await world.close();
    },
  };
}

const FIRST = ["tentacular-postgres", "tentacular-nats"];
const CHANGED = ["tentacular-postgres", "tentacular-rustfs"];
const ALL = ["tentacular-postgres", "tentacular-nats", "tentacular-rustfs"];
/** A node whose engine never gets ready. */
const BROKEN = 'throw new Error("this node cannot be loaded");\nexport default () => 1;\n';

/** An operation that is killed: what is there before, what is done, and how it is finished. */
export interface Scenario {
  readonly name: string;
  readonly before: readonly string[] | undefined;
  /** Source of the node that is there before. */
  readonly source?: string;
  readonly order: (enclave: string, name: string) => Order;
  /** The point from which it differs from another scenario; those before it are that one's. */
  readonly from?: string;
  /** Dependencies of the plain deploy that finishes it; absent: a plain undeploy --force does. */
  readonly finish: readonly string[] | undefined;
}

/** A deploy of a tentacle with these dependencies. */
export function deployOrder(
  enclave: string,
  name: string,
  dependencies: readonly string[],
  source = ECHO,
): Order {
  const request = { enclave, workflow: workflowOf(name, dependencies), files: { "nodes/one.ts": source } };
  return { operation: "deploy", request };
}

export function undeployOrder(enclave: string, name: string, force: boolean): Order {
  return { operation: "undeploy", request: { enclave, name, force } };
}

export function rotateOrder(enclave: string, name: string): Order {
  return { operation: "rotate", request: { enclave, name } };
}

export const scenarios = {
  deploy: {
    name: "deploy",
    before: undefined,
    order: (enclave, name) => deployOrder(enclave, name, ALL),
    finish: ALL,
  },
  redeploy: {
    name: "a redeploy with a changed contract",
    before: FIRST,
    order: (enclave, name) => deployOrder(enclave, name, CHANGED),
    finish: CHANGED,
  },
  rotate: { name: "rotate", before: ALL, order: rotateOrder, finish: ALL },
  rotateInVain: {
    name: "a rotate whose rollout fails",
    before: ALL,
    source: BROKEN,
    order: rotateOrder,
    from: "before rollout",
    finish: ALL,
  },
  undeploy: {
    name: "undeploy",
    before: ALL,
    order: (enclave, name) => undeployOrder(enclave, name, false),
    finish: ALL,
  },
  force: {
    name: "undeploy --force",
    before: ALL,
    order: (enclave, name) => undeployOrder(enclave, name, true),
    finish: undefined,
  },
} as const satisfies Readonly<Record<string, Scenario>>;

/** Does by this process's server what an order says. */
export async function carryOut({ platform: { operations } }: Stage, order: Order): Promise<void> {
  if (order.operation === "deploy") await operations.deploy(order.request, freshCall());
  else if (order.operation === "rotate") await operations.rotate(order.request, freshCall());
  else await operations.undeploy(order.request, freshCall());
}

/** A tentacle of its own in the state that a scenario begins with. */
export async function prepare(
  stage: Stage,
  { before, source }: Scenario,
): Promise<{ readonly identity: Identity; readonly name: string }> {
  const name = freshName("k");
  if (before !== undefined) await carryOut(stage, deployOrder(stage.enclave, name, before, source));
  return { identity: createIdentity(stage.enclave, name), name };
}
