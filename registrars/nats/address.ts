import { readFile } from "node:fs/promises";
import type { NodeConnectionOptions } from "@nats-io/transport-node";
import { Unavailable } from "../../src/errors.ts";

const DEFAULT_PORT = 4222;

/** Where a NATS server listens. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** `nats://host:port` or `tls://host:port`, nothing else in it. */
  readonly url: string;
}

/** Reads `nats://host[:port]` or `tls://host[:port]`; undefined for anything else, credentials in it included. */
export function parseAddress(text: string): Address | undefined {
  if (!/^(nats|tls):\/\/[^/@?#\s]+\/?$/.test(text) || !URL.canParse(text)) return undefined;
  const { protocol, hostname, port } = new URL(text);
  if (hostname === "") return undefined;
  const number = port === "" ? DEFAULT_PORT : Number(port);
  return {
    host: hostname.replace(/^\[|\]$/g, ""),
    port: number,
    tls: protocol === "tls:",
    url: `${protocol}//${hostname}:${number}`,
  };
}

/** PEM of the certificate authority in `file`, read anew each time so that a renewed one is seen. */
export async function readCa(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new Unavailable(`the CA file ${file} of NATS cannot be read`, {
      reason: "failed",
      service: "nats",
      hint: "Correct TENTACULAR_NATS_CA_FILE or the permissions of the file.",
      cause: error,
    });
  }
}

/** Files of the certificate that this server shows to nats-server. */
export interface ClientCertificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** The certificate and its key, read anew each time so that renewed ones are seen. */
export async function readClientCertificate(
  files: ClientCertificate | undefined,
): Promise<{ readonly cert: string; readonly key: string } | undefined> {
  if (files === undefined) return undefined;
  try {
    const [cert, key] = await Promise.all([
      readFile(files.certFile, "utf8"),
      readFile(files.keyFile, "utf8"),
    ]);
    return { cert, key };
  } catch (error) {
    throw new Unavailable(`the client certificate ${files.certFile} for NATS cannot be read`, {
      reason: "failed",
      service: "nats",
      hint: "Correct TENTACULAR_NATS_CLIENT_CERT_FILE and TENTACULAR_NATS_CLIENT_KEY_FILE, or the permissions of the files.",
      cause: error,
    });
  }
}

/** Client options for this address: with `tls://`, or with a CA, a server that offers no TLS is refused. */
export function transportOptions(
  { host, port, tls }: Address,
  ca: string | undefined,
  certificate?: { readonly cert: string; readonly key: string },
): NodeConnectionOptions {
  // The client names no host to check the certificate against when it is an address; Node takes this one.
  const secured = { ca, host, ...certificate };
  return {
    servers: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
    ...((tls || ca !== undefined || certificate !== undefined) && { tls: secured }),
    reconnect: false,
    timeout: 5_000,
  };
}
