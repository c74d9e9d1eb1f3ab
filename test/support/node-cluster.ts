import { request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { connect } from "../../src/cluster/kubernetes/connection.ts";
import type { Service } from "./services.ts";

/** A whole cluster: its node runs pods, and they reach this machine. */
export interface NodeCluster {
  /** Path of an administrator's kubeconfig. */
  readonly kubeconfig: string;
  /** Address of this machine as pods see it. */
  readonly hostIp: string;
  /** Image with Deno that its node has. */
  readonly image: string;
}

/** The cluster that TENTACULAR_TEST_CLUSTER names. Throws when it is required and not named. */
export function testNodeCluster(): Service<NodeCluster> {
  const {
    TENTACULAR_TEST_CLUSTER: kubeconfig,
    TENTACULAR_TEST_HOST_IP: hostIp,
    TENTACULAR_TEST_IMAGE: image,
  } = process.env;
  if (kubeconfig !== undefined && hostIp !== undefined && image !== undefined)
    return { available: true, kubeconfig, hostIp, image };
  const reason =
    "set TENTACULAR_TEST_CLUSTER (kubeconfig of a cluster with a node), TENTACULAR_TEST_HOST_IP (this machine, for its pods) and TENTACULAR_TEST_IMAGE (Deno)";
  if ((process.env.TENTACULAR_TEST_REQUIRE ?? "").split(",").includes("cluster"))
    throw new Error(`required test service cluster is missing: ${reason}`);
  console.warn(`tests that need a cluster with a node are skipped: ${reason}`);
  return { available: false, reason };
}

/** The image of the server that the cluster's node has. Throws when the cluster is required and it is not named. */
export function testServerImage(): Service<{ readonly name: string }> {
  const name = process.env.TENTACULAR_TEST_SERVER_IMAGE;
  if (name !== undefined) return { available: true, name };
  const reason = "set TENTACULAR_TEST_SERVER_IMAGE (the server's image, on the cluster's node)";
  if ((process.env.TENTACULAR_TEST_REQUIRE ?? "").split(",").includes("cluster"))
    throw new Error(`required test service cluster is missing: ${reason}`);
  console.warn(`tests of the server as a pod are skipped: ${reason}`);
  return { available: false, reason };
}

const resourcesSchema = z.object({
  resources: z.array(z.object({ name: z.string(), namespaced: z.boolean(), verbs: z.array(z.string()) })),
});
const groupsSchema = z.object({
  groups: z.array(z.object({ preferredVersion: z.object({ groupVersion: z.string() }) })),
});
const metadataSchema = z.looseObject({
  name: z.string(),
  uid: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  deletionTimestamp: z.string().optional(),
});
const itemsSchema = z.object({ items: z.array(z.looseObject({ metadata: metadataSchema })) });

/** What a test sees of a namespace, as an administrator, beside the adapter. */
export interface Namespace {
  readonly name: string;
  /** `resource/name` of every object there is, whoever made it, but for events. */
  everything(): Promise<readonly string[]>;
  /** Names and uids of a tentacle's pods that are not on their way out. */
  pods(tentacle: string): Promise<readonly { readonly name: string; readonly uid: string }[]>;
  /** The namespace's own; undefined when there is no such namespace. */
  labels(): Promise<Readonly<Record<string, string>> | undefined>;
  /** Waits until the cluster has ended all that was in it. */
  gone(): Promise<void>;
}

/** Looks into a namespace, there or not yet. */
export async function openNamespace({ kubeconfig }: NodeCluster, name: string): Promise<Namespace> {
  const connection = await connect({ kubeconfig });

  async function ask(path: string): Promise<unknown> {
    const options = await connection.credentials();
    const { code, text } = await new Promise<{ code: number; text: string }>((resolve, reject) => {
      const sent = request(new URL(path, connection.server), options, (response) => {
        let answer = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => (answer += chunk));
        response.once("end", () => resolve({ code: response.statusCode ?? 0, text: answer }));
        response.once("error", reject);
      });
      sent.once("error", reject);
      sent.end();
    });
    if (code >= 300) throw new Error(`GET ${path}: ${code} ${text}`);
    const json: unknown = JSON.parse(text);
    return json;
  }

  async function items(path: string) {
    return itemsSchema.parse(await ask(path)).items.map(({ metadata }) => metadata);
  }

  async function labels(): Promise<Readonly<Record<string, string>> | undefined> {
    const all = await items("/api/v1/namespaces");
    return all.find((namespace) => namespace.name === name)?.labels;
  }

  return {
    name,
    async everything() {
      const { groups } = groupsSchema.parse(await ask("/apis"));
      const places = [
        "/api/v1",
        ...groups.map(({ preferredVersion: { groupVersion } }) => `/apis/${groupVersion}`),
      ];
      const found = await Promise.all(
        places.map(async (place) => {
          const { resources } = resourcesSchema.parse(await ask(place));
          const listed = resources.filter(
            (one) => one.namespaced && one.verbs.includes("list") && one.name !== "events",
          );
          return Promise.all(
            listed.map(async (one) =>
              (await items(`${place}/namespaces/${name}/${one.name}`)).map(
                (item) => `${one.name}/${item.name}`,
              ),
            ),
          );
        }),
      );
      return found.flat(2).sort();
    },
    async pods(tentacle) {
      const all = await items(`/api/v1/namespaces/${name}/pods`);
      return all
        .filter(
          (pod) => pod.labels["tentacular.io/tentacle"] === tentacle && pod.deletionTimestamp === undefined,
        )
        .map(({ name: pod, uid }) => ({ name: pod, uid }));
    },
    labels,
    async gone() {
      while ((await labels()) !== undefined) await sleep(200);
    },
  };
}
