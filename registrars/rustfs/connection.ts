import { readFile } from "node:fs/promises";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { RustfsSettings } from "./settings.ts";

/** A pair of keys that signs requests. */
export interface Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

/** The sockets to the object store, shared by every client of this registrar. */
export interface Connection {
  readonly endpoint: string;
  readonly region: string;
  readonly admin: Keys;
  /** The certificate authority (PEM), when the system does not know it. */
  readonly ca: string | undefined;
  readonly httpAgent: HttpAgent;
  readonly httpsAgent: HttpsAgent;
  /** Closes the sockets that wait for a request: where one of them got no answer, the others may be as dead. */
  forgetIdle(): void;
  close(): void;
}

/** No answer to a connect within this is no connection. */
export const CONNECT_MS = 5_000;
/** One request may take this long; longer work is cut into requests. */
export const REQUEST_MS = 15_000;
/** Attempts of one request, the first included; the delay between them grows, more so after 503 SlowDown. */
export const ATTEMPTS = 4;

/** Prepares sockets by the settings; connects to nothing yet. */
export async function createConnection(settings: RustfsSettings): Promise<Connection> {
  const ca = settings.caFile === undefined ? undefined : await readFile(settings.caFile, "utf8");
  const options = { keepAlive: true, maxSockets: 32 };
  const httpAgent = new HttpAgent(options);
  const httpsAgent = new HttpsAgent({ ...options, ...(ca !== undefined && { ca }) });
  return {
    endpoint: settings.endpoint.replace(/\/$/, ""),
    region: settings.region,
    admin: { accessKeyId: settings.accessKey, secretAccessKey: settings.secretKey },
    ca,
    httpAgent,
    httpsAgent,
    forgetIdle() {
      for (const agent of [httpAgent, httpsAgent])
        for (const sockets of Object.values(agent.freeSockets))
          sockets?.forEach((socket) => socket.destroy());
    },
    close() {
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
}

/** What the AWS clients are given: our sockets, real deadlines, and retries with a growing delay. */
export function awsOptions(connection: Connection, endpoint: string | undefined, keys: Keys) {
  return {
    ...(endpoint !== undefined && { endpoint }),
    region: connection.region,
    credentials: { ...keys },
    maxAttempts: ATTEMPTS,
    retryMode: "standard",
    requestHandler: {
      httpAgent: connection.httpAgent,
      httpsAgent: connection.httpsAgent,
      connectionTimeout: CONNECT_MS,
      requestTimeout: REQUEST_MS,
      throwOnRequestTimeout: true,
    },
  };
}
