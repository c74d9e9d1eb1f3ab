import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKubernetesCluster } from "../../src/cluster/kubernetes/index.ts";
import type { KubernetesClusterOptions } from "../../src/cluster/kubernetes/index.ts";
import { silentLogger } from "../../src/log.ts";
import type { KubernetesServer } from "./kubernetes.ts";
import { freshName } from "./platform.ts";

/** How a test itself speaks to the API server, beside the adapter: as anybody else would. */
export interface Kubectl {
  /** Sends a request and gives the answer's JSON; throws with the API server's words when it says no. */
  send(method: string, path: string, body?: unknown, contentType?: string): Promise<unknown>;
  /** The text of an object, to the byte; undefined when there is none. */
  read(path: string): Promise<string | undefined>;
}

/** Speaks to `server` by plain HTTPS requests; `token` other than the administrator's. */
export function createKubectl(server: KubernetesServer, token = server.token): Kubectl {
  function ask(
    method: string,
    path: string,
    body?: unknown,
    contentType = "application/json",
  ): Promise<{ code: number; text: string }> {
    const text = body === undefined ? "" : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const sent = request(
        `${server.url}${path}`,
        {
          method,
          ca: server.ca,
          headers: {
            authorization: `Bearer ${token}`,
            "content-type": contentType,
            "content-length": Buffer.byteLength(text),
            "user-agent": "kubectl",
          },
        },
        (response) => {
          let answer = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (answer += chunk));
          response.once("end", () => resolve({ code: response.statusCode ?? 0, text: answer }));
          response.once("error", reject);
        },
      );
      sent.once("error", reject);
      sent.end(text);
    });
  }
  return {
    async send(method, path, body, contentType) {
      const { code, text } = await ask(method, path, body, contentType);
      if (code >= 300) throw new Error(`${method} ${path}: ${code} ${text}`);
      const json: unknown = JSON.parse(text);
      return json;
    },
    async read(path) {
      const { code, text } = await ask("GET", path);
      if (code === 404) return undefined;
      if (code !== 200) throw new Error(`GET ${path}: ${code} ${text}`);
      return text;
    },
  };
}

/** An enclave of a test's own, and a kubeconfig for it. */
export interface TestEnclave {
  readonly name: string;
  readonly kubeconfig: string;
  readonly kubectl: Kubectl;
  remove(): Promise<void>;
}

/** Makes a namespace with the label of an enclave, and a kubeconfig of the administrator. */
export async function createEnclave(server: KubernetesServer): Promise<TestEnclave> {
  const kubectl = createKubectl(server);
  const name = freshName("enclave");
  await kubectl.send("POST", "/api/v1/namespaces", {
    metadata: { name, labels: { "tentacular.io/kind": "enclave" } },
  });
  const folder = await mkdtemp(join(tmpdir(), "tentacular-kubeconfig-"));
  const kubeconfig = join(folder, "config");
  await writeFile(kubeconfig, kubeconfigOf(server), { mode: 0o600 });
  return { name, kubeconfig, kubectl, remove: () => rm(folder, { recursive: true, force: true }) };
}

/** Text of a kubeconfig; `url` and `user` other than the server's own and the administrator. */
export function kubeconfigOf(
  server: KubernetesServer,
  { url = server.url, user = { token: server.token } }: { url?: string; user?: object } = {},
): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "test",
        cluster: { server: url, "certificate-authority-data": Buffer.from(server.ca).toString("base64") },
      },
    ],
    users: [{ name: "user", user }],
    contexts: [{ name: "test", context: { cluster: "test", user: "user" } }],
    "current-context": "test",
  });
}

/** The adapter, on the enclave's kubeconfig. */
export function createTestCluster(
  { kubeconfig }: { readonly kubeconfig: string },
  options: Partial<KubernetesClusterOptions> = {},
) {
  return createKubernetesCluster({ kubeconfig, log: silentLogger, ...options });
}
