import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Conflict, Unavailable } from "../../../src/errors.ts";
import type { FoundObject, KubernetesAccess, ObjectRef } from "../../../src/exoskeleton/kubernetes-access.ts";
import { createQueues } from "../queues.ts";
import type { ConfigMapKey } from "./config-map-key.ts";
import type { AccountsStore } from "./store.ts";

const TYPE = { apiVersion: "v1", kind: "ConfigMap", resource: "configmaps" } as const;
/** The kubelet looks every minute, at what may be a minute old. */
const PATIENCE_MS = 150_000;
const TRIES = 30;

const configMapSchema = z.looseObject({ data: z.record(z.string(), z.string()).default({}) });

/** Keeps the accounts under a key of a ConfigMap that is mounted into nats-server's pods. */
export function createConfigMapStore(
  { namespace, name, key }: ConfigMapKey,
  kubernetes: KubernetesAccess | undefined,
): AccountsStore {
  const ref: ObjectRef = { type: TYPE, namespace, name };
  const where = `key ${key} of ConfigMap ${namespace}/${name}`;
  const inTurn = createQueues();

  function access(): KubernetesAccess {
    if (kubernetes !== undefined) return kubernetes;
    throw new Unavailable(
      `${where} is out of reach: this server runs tentacles on this machine, not on Kubernetes`,
      {
        reason: "failed",
        service: "nats",
        hint: "Set TENTACULAR_NATS_ACCOUNTS_FILE instead, or run the server for a Kubernetes cluster (TENTACULAR_CLUSTER).",
      },
    );
  }

  async function find(signal: AbortSignal): Promise<{ readonly found: FoundObject; readonly text: string }> {
    const found = await access().get(ref, signal);
    if (found !== undefined) return { found, text: configMapSchema.parse(found.json).data[key] ?? "" };
    throw new Unavailable(`there is no ConfigMap ${namespace}/${name} for the accounts of NATS`, {
      reason: "failed",
      service: "nats",
      hint: `Make it: kubectl -n ${namespace} create configmap ${name} --from-literal=${key}=`,
    });
  }

  return {
    where,
    patienceMs: PATIENCE_MS,
    read: async (signal) => (await find(signal)).text,
    update: (change, signal) =>
      inTurn("ConfigMap", async () => {
        for (let attempt = 1; attempt <= TRIES; attempt++) {
          const { found, text } = await find(signal);
          const next = await change(text);
          if (next === text) return;
          if (await access().patch(found, { data: { [key]: next } }, signal)) return;
          await sleep(attempt * 20 * Math.random(), undefined, { signal });
        }
        throw new Conflict(`others keep changing ${where}`, {
          service: "nats",
          hint: "Try again when fewer deploys are under way.",
        });
      }),
  };
}
