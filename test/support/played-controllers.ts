import { once } from "node:events";
import { readFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { createServer, request } from "node:https";
import { createInterface } from "node:readline";
import { z } from "zod";
import { CHECKSUM_ANNOTATION, labels, MANAGER } from "../../src/cluster/objects.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { createKubectl, type Kubectl } from "./kubernetes-enclave.ts";
import type { KubernetesServer } from "./kubernetes.ts";
import { freshName } from "./platform.ts";
import { createPodStatuses, READY_POD, ROLLED_OUT } from "./pod-statuses.ts";

/** What the controllers and a node would do for every tentacle of some enclaves, where an API server has neither. */
export interface PlayedControllers {
  /** What could not be done, if anything. */
  readonly problems: readonly string[];
  /** Makes no pod, and ends none, until it is called back. */
  hold(): () => void;
  stop(): Promise<void>;
}

const deploymentSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string(),
    generation: z.number(),
    deletionTimestamp: z.string().optional(),
  }),
  spec: z.looseObject({
    template: z.looseObject({
      metadata: z.looseObject({ annotations: z.record(z.string(), z.string()).default({}) }),
    }),
  }),
  status: z.looseObject({ observedGeneration: z.number().default(0) }).default({ observedGeneration: 0 }),
});
type Deployment = z.output<typeof deploymentSchema>;

const eventSchema = z.object({ type: z.string(), object: z.unknown() });
const podsSchema = z.object({ items: z.array(z.object({ metadata: z.object({ name: z.string() }) })) });
const codeSchema = z.looseObject({ data: z.record(z.string(), z.string()) });

const mergePatch = "application/merge-patch+json";

/**
 * Gives each Deployment of a tentacle a ready pod of its present version, and lets one that is deleted go once its pods are
 * gone. The log of such a pod is the code that it was started with.
 */
export async function playControllers(
  server: KubernetesServer,
  enclaves: readonly string[],
): Promise<PlayedControllers> {
  const kubectl = createKubectl(server);
  const problems: string[] = [];
  const node = await startPlayedNode(server, kubectl);
  const ended = new AbortController();
  const latest = new Map<string, Deployment>();
  const working = new Map<string, Promise<void>>();
  let held = Promise.resolve();

  /** One thing at a time for a Deployment; of what comes meanwhile the last counts. */
  function take(deployment: Deployment): void {
    const { namespace, name } = deployment.metadata;
    // Others use the same API server, and play there themselves.
    if (!enclaves.includes(namespace)) return;
    const key = `${namespace}/${name}`;
    latest.set(key, deployment);
    if (working.has(key)) return;
    const work = workOff(key)
      .catch((error: unknown) => void problems.push(`${key}: ${String(error)}`))
      .finally(() => working.delete(key));
    working.set(key, work);
  }

  async function workOff(key: string): Promise<void> {
    for (let next = latest.get(key); next !== undefined; next = latest.get(key)) {
      latest.delete(key);
      await held;
      await play(kubectl, node, next);
    }
  }

  const watching = watchDeployments(server, ended.signal, take);
  return {
    problems,
    hold() {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      held = promise.then(() => undefined);
      return () => resolve(undefined);
    },
    async stop() {
      ended.abort();
      await watching;
      await Promise.all(working.values());
      await node.stop();
    },
  };
}

async function play(kubectl: Kubectl, node: PlayedNode, deployment: Deployment): Promise<void> {
  const { namespace, name, generation, deletionTimestamp } = deployment.metadata;
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;
  if (deletionTimestamp !== undefined) {
    await removePods(kubectl, node, namespace, name);
    await unlessGone(kubectl.send("PATCH", path, { metadata: { finalizers: null } }, mergePatch));
    return;
  }
  if (deployment.status.observedGeneration >= generation) return;
  await removePods(kubectl, node, namespace, name);
  const statuses = await createPodStatuses(kubectl, createIdentity(namespace, name));
  const checksum = deployment.spec.template.metadata.annotations[CHECKSUM_ANNOTATION] ?? "";
  const code = await kubectl.read(`/api/v1/namespaces/${namespace}/configmaps/${name}-code`);
  const pod = await statuses.pod(checksum, node.name);
  node.logs.set(`${namespace}/${pod}`, code === undefined ? "" : codeIn(code));
  await statuses.podStatus(pod, READY_POD);
  const status = { ...ROLLED_OUT, observedGeneration: generation };
  await unlessGone(statuses.deploymentStatus(status));
}

function codeIn(configMap: string): string {
  const { data } = codeSchema.parse(JSON.parse(configMap));
  return Object.entries(data)
    .filter(([key]) => key.startsWith("nodes"))
    .map(([, text]) => text)
    .join("\n");
}

async function removePods(
  kubectl: Kubectl,
  node: PlayedNode,
  namespace: string,
  name: string,
): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const selector = encodeURIComponent(`${labels.tentacle}=${name}`);
  const { items } = podsSchema.parse(await kubectl.send("GET", `${path}?labelSelector=${selector}`));
  for (const { metadata } of items) {
    await unlessGone(kubectl.send("DELETE", `${path}/${metadata.name}`, { gracePeriodSeconds: 0 }));
    node.logs.delete(`${namespace}/${metadata.name}`);
  }
}

async function unlessGone(sent: Promise<unknown>): Promise<void> {
  await sent.catch((error: unknown) => {
    if (!/: (404|409) /.test(String(error))) throw error;
  });
}

async function watchDeployments(
  server: KubernetesServer,
  signal: AbortSignal,
  take: (deployment: Deployment) => void,
): Promise<void> {
  const selector = encodeURIComponent(`${labels.managedBy}=${MANAGER}`);
  const isEnded = (): boolean => signal.aborted;
  while (!isEnded()) {
    try {
      const response = await open(
        server,
        `/apis/apps/v1/deployments?watch=true&labelSelector=${selector}`,
        signal,
      );
      for await (const line of createInterface({ input: response })) {
        const { type, object } = eventSchema.parse(JSON.parse(line));
        if (type === "ADDED" || type === "MODIFIED") take(deploymentSchema.parse(object));
      }
    } catch (error) {
      if (!isEnded()) throw error;
    }
  }
}

function open(server: KubernetesServer, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${server.token}` };
    const sent = request(`${server.url}${path}`, { ca: server.ca, agent: false, headers, signal }, resolve);
    sent.once("error", reject);
    sent.end();
  });
}

interface PlayedNode {
  readonly name: string;
  /** Of each `<namespace>/<pod>`. */
  readonly logs: Map<string, string>;
  stop(): Promise<void>;
}

/** A node whose kubelet answers one thing: what the log of a pod is. */
async function startPlayedNode(server: KubernetesServer, kubectl: Kubectl): Promise<PlayedNode> {
  const logs = new Map<string, string>();
  const [cert, key] = await Promise.all([readFile(server.certFile), readFile(server.keyFile)]);
  const kubelet = createServer({ cert, key }, (asked, response) => {
    const [, what, namespace, pod] = new URL(asked.url ?? "/", "https://kubelet").pathname.split("/");
    const log = what === "containerLogs" ? logs.get(`${namespace ?? ""}/${pod ?? ""}`) : undefined;
    response.writeHead(log === undefined ? 404 : 200, { "content-type": "text/plain" });
    response.end(log ?? "");
  });
  kubelet.listen(0, "127.0.0.1");
  await once(kubelet, "listening");
  const address = kubelet.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const name = freshName("node");
  await kubectl.send("POST", "/api/v1/nodes", { metadata: { name } });
  const status = {
    addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
  };
  await kubectl.send("PATCH", `/api/v1/nodes/${name}/status`, { status }, mergePatch);
  return {
    name,
    logs,
    async stop() {
      await kubectl.send("DELETE", `/api/v1/nodes/${name}`);
      kubelet.closeAllConnections();
      kubelet.close();
      await once(kubelet, "close");
    },
  };
}
