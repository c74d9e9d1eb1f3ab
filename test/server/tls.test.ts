import { once } from "node:events";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { get } from "node:https";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, it, vi } from "vitest";
import { singleToken } from "../../src/callers/authenticate.ts";
import { type RunningServe, startServe } from "../../src/serve.ts";
import { newToken, serveHttp } from "../../src/server/http.ts";
import { readTls } from "../../src/server/tls.ts";
import { type Certificate, createCertificate } from "../support/certificates.ts";
import { testService } from "../support/mcp.ts";

let folder: string;
let server: RunningServe | undefined;
let made: readonly [Certificate, Certificate];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-tls-"));
  const [first, second] = [
    await createCertificate(folder, "first"),
    await createCertificate(folder, "second"),
  ];
  if (first === undefined || second === undefined)
    throw new Error("the openssl program is needed to make certificates for these tests");
  made = [first, second];
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);

async function install({ certFile, keyFile }: Certificate): Promise<void> {
  await copyFile(certFile, at("tls.crt"));
  await copyFile(keyFile, at("tls.key"));
}

const environment = () => ({
  PATH: process.env.PATH,
  XDG_STATE_HOME: folder,
  TENTACULAR_LOG_LEVEL: "silent",
  TENTACULAR_HTTP_PORT: "0",
  TENTACULAR_HTTP_TLS_CERT_FILE: at("tls.crt"),
  TENTACULAR_HTTP_TLS_KEY_FILE: at("tls.key"),
});

/** Asks over a connection of its own, trusting one authority; gives the status and the name that the server shows. */
function ask(url: string, ca: string): Promise<{ status: number; name: unknown }> {
  return new Promise((resolve, reject) => {
    get(new URL("/readyz", url), { ca, agent: false }, (response) => {
      const { socket, statusCode: status = 0 } = response;
      const name = socket instanceof TLSSocket ? socket.getPeerCertificate().subject.CN : undefined;
      response.resume().on("end", () => resolve({ status, name }));
    }).on("error", reject);
  });
}

it("speaks HTTPS alone, with the certificate that its files hold now", async () => {
  const [first, second] = made;
  await install(first);
  server = await startServe({ environment: environment(), watchMs: 20 });
  const { url } = server;
  expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+\/mcp$/);
  expect(await ask(url, first.pem)).toEqual({ status: 200, name: "first" });
  await expect(ask(url, second.pem)).rejects.toThrow(/self.signed/);
  await expect(fetch(url.replace("https", "http"))).rejects.toThrow();
  // Between the two copies, certificate and key do not fit: the earlier ones stay.
  await install(second);
  await vi.waitFor(async () => expect(await ask(url, second.pem)).toEqual({ status: 200, name: "second" }), {
    timeout: 20_000,
  });
});

it("does not start with half of what it needs, or with files that do not fit", async () => {
  const [first, second] = made;
  const half = { ...environment(), TENTACULAR_HTTP_TLS_KEY_FILE: "" };
  await expect(startServe({ environment: half })).rejects.toMatchObject({
    path: "TENTACULAR_HTTP_TLS_KEY_FILE",
  });
  await copyFile(first.certFile, at("tls.crt"));
  await copyFile(second.keyFile, at("tls.key"));
  await expect(startServe({ environment: environment() })).rejects.toThrow(/is not that of the certificate/);
  await copyFile(first.certFile, at("tls.key"));
  await expect(startServe({ environment: environment() })).rejects.toThrow(/no PEM text of a private key/);
  await rm(at("tls.key"));
  await expect(startServe({ environment: environment() })).rejects.toThrow(/tls\.key cannot be read/);
});

it("closes on who never comes to the end of a handshake", async () => {
  const [tls] = made.map(readTls);
  const http = await serveHttp({
    service: testService({}),
    authenticate: singleToken(newToken()),
    limits: { headersMs: 300, requestMs: 1_000 },
    ...(tls !== undefined && { tls }),
  });
  const socket = createConnection(Number(new URL(http.url).port), "127.0.0.1");
  socket.on("error", () => undefined).resume();
  await once(socket, "close");
  await http.close();
});
