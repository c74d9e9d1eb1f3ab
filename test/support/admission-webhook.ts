import { readFile } from "node:fs/promises";
import { createServer } from "node:https";
import { z } from "zod";
import { createKubectl } from "./kubernetes-enclave.ts";
import type { KubernetesServer } from "./kubernetes.ts";

const reviewSchema = z.looseObject({ request: z.looseObject({ uid: z.string() }) });
const CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

/** A policy of the cluster's, as admission webhooks enforce them. */
export interface AdmissionWebhook {
  /** How many objects it was asked about. */
  asked(): number;
  /** It answers nobody any more, and is asked all the same. */
  stop(): void;
  remove(): Promise<void>;
}

/** Has the API server ask a real webhook about every ConfigMap of `enclave`, which it denies in these words. */
export async function denyConfigMaps(
  server: KubernetesServer,
  enclave: string,
  words: string,
): Promise<AdmissionWebhook> {
  let asked = 0;
  const [cert, key] = await Promise.all([readFile(server.certFile), readFile(server.keyFile)]);
  const webhook = createServer({ cert, key }, (incoming, outgoing) => {
    let text = "";
    incoming.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    incoming.on("end", () => {
      asked++;
      const { uid } = reviewSchema.parse(JSON.parse(text)).request;
      const response = { uid, allowed: false, status: { code: 403, message: words } };
      outgoing.setHeader("content-type", "application/json");
      outgoing.end(JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", response }));
    });
  });
  await new Promise<void>((resolve) => webhook.listen(0, "127.0.0.1", resolve));
  const address = webhook.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const kubectl = createKubectl(server);
  const name = `${enclave}.policies.example.com`;
  await kubectl.send("POST", CONFIGURATIONS, {
    metadata: { name },
    webhooks: [
      {
        name,
        clientConfig: {
          url: `https://127.0.0.1:${port}/`,
          caBundle: Buffer.from(server.ca).toString("base64"),
        },
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": enclave } },
        rules: [
          {
            apiGroups: [""],
            apiVersions: ["v1"],
            resources: ["configmaps"],
            operations: ["CREATE", "UPDATE"],
          },
        ],
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
        failurePolicy: "Fail",
        timeoutSeconds: 5,
      },
    ],
  });
  const stop = (): void => {
    webhook.closeAllConnections();
    webhook.close();
  };
  return {
    asked: () => asked,
    stop,
    async remove() {
      await kubectl.send("DELETE", `${CONFIGURATIONS}/${name}`);
      stop();
    },
  };
}
