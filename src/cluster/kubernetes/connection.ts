import type { OutgoingHttpHeaders } from "node:http";
import type { RequestOptions } from "node:https";
import { InvalidInput, Unavailable } from "../../errors.ts";

/** How the API server is found. */
export interface ConnectionOptions {
  /** Path of a kubeconfig; without it, what kubectl would use, and in a pod its own service account. */
  readonly kubeconfig?: string;
  /** Context of the kubeconfig; without it, the current one. */
  readonly context?: string;
}

/** What a request carries to prove who sends it. */
export type RequestCredentials = Omit<RequestOptions, "headers"> & { headers?: OutgoingHttpHeaders };

/** Where the API server is, and how requests to it prove who sends them. */
export interface Connection {
  readonly server: URL;
  /** True when it came from the service account of the pod that this process runs in. */
  readonly inCluster: boolean;
  /** Whether requests go through a proxy that the kubeconfig names. */
  readonly proxied: boolean;
  /** TLS settings and headers for one request; asked for each, as tokens and certificates are replaced while we run. */
  credentials(): Promise<RequestCredentials>;
}

/** What the client makes up when it finds nothing. */
const NOWHERE = "http://localhost:8080";

/** Reads the kubeconfig. The client is loaded here, as it costs a second that only this adapter needs. */
export async function connect(options: ConnectionOptions): Promise<Connection> {
  const { KubeConfig } = await import("./kube-config.ts");
  const config = new KubeConfig();
  try {
    if (options.kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(options.kubeconfig);
  } catch (error) {
    const which = options.kubeconfig ?? "of KUBECONFIG or ~/.kube/config";
    throw new InvalidInput(`the kubeconfig ${which} cannot be read`, {
      hint: "Check the path (TENTACULAR_KUBECONFIG, KUBECONFIG), its permissions, and that it is a kubeconfig.",
      cause: error,
    });
  }
  if (options.context !== undefined) {
    const known = config.getContexts().map(({ name }) => name);
    if (!known.includes(options.context))
      throw new InvalidInput(`the kubeconfig has no context ${options.context}`, {
        hint: `Set TENTACULAR_KUBE_CONTEXT to one of: ${known.join(", ")}.`,
      });
    config.setCurrentContext(options.context);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null || cluster.server === NOWHERE)
    throw new InvalidInput("no Kubernetes cluster is configured", {
      hint: "Set TENTACULAR_KUBECONFIG to a kubeconfig with a current context, or run this server in the cluster.",
    });
  if (cluster.server.startsWith("http:") && !cluster.skipTLSVerify)
    throw new InvalidInput(`the kubeconfig names an API server without TLS: ${cluster.server}`, {
      hint: "Use its https address, or set insecure-skip-tls-verify for this cluster if it is only on this machine.",
    });
  return {
    server: new URL(cluster.server),
    inCluster: cluster.name === "inCluster",
    proxied: cluster.proxyUrl !== undefined,
    async credentials() {
      const request: RequestCredentials = {};
      try {
        await config.applyToHTTPSOptions(request);
      } catch (error) {
        throw new Unavailable("the credentials of the kubeconfig cannot be had", {
          reason: "stale_credentials",
          hint: "Check with `kubectl version` as the user of this server: its credential program, token or files.",
          cause: error,
        });
      }
      return request;
    },
  };
}
