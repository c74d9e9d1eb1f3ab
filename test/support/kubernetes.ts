import { generateKeyPairSync, randomBytes } from "node:crypto";
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { inject } from "vitest";
import { z } from "zod";
import { type Child, startChild } from "../../src/embedded/child.ts";
import { freePort } from "../../src/embedded/port.ts";
import type { Service } from "./services.ts";

/** An API server with RBAC and no controllers: objects are kept and checked, no pod ever runs. */
export interface KubernetesServer {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** Bearer token of a user who may do everything. */
  readonly token: string;
  /** Its own certificate and key, for a proxy that stands in front of it. */
  readonly certFile: string;
  readonly keyFile: string;
}

const serviceSchema = z.discriminatedUnion("available", [
  z.object({
    available: z.literal(true),
    url: z.string(),
    ca: z.string(),
    token: z.string(),
    certFile: z.string(),
    keyFile: z.string(),
  }),
  z.object({ available: z.literal(false), reason: z.string() }),
]);

/** The one API server of this run; the first who asks waits until it is up. Throws when it is required and missing. */
export async function testKubernetes(): Promise<Service<KubernetesServer>> {
  const answer = await fetch(inject("kubernetesStarter"));
  const server = serviceSchema.parse(await answer.json());
  if (!server.available && (process.env.TENTACULAR_TEST_REQUIRE ?? "").split(",").includes("kubernetes"))
    throw new Error(`required test service kubernetes is missing: ${server.reason}`);
  return server;
}

/**
 * Where the tests ask for the API server. It is started on the first question, as it takes seconds and half a gigabyte
 * that most runs do not need.
 */
export async function createKubernetesStarter(): Promise<{ url: string; stop: () => Promise<void> }> {
  const stops: (() => Promise<void>)[] = [];
  let started: Promise<Service<KubernetesServer>> | undefined;
  const server = createServer((_, response) => {
    started ??= start(stops).catch((error: unknown) => {
      const reason = error instanceof Error ? error.message : String(error);
      console.warn(`tests that need kubernetes are skipped: ${reason}`);
      return { available: false, reason };
    });
    void started.then((service) => response.end(JSON.stringify(service)));
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      server.closeAllConnections();
      server.close();
      await started;
      await endAll(stops);
    },
  };
}

/** Starts one outside of a test run; `stop` ends it and removes its files. */
export async function startKubernetes(): Promise<{ server: KubernetesServer; stop: () => Promise<void> }> {
  const stops: (() => Promise<void>)[] = [];
  return { server: await start(stops), stop: () => endAll(stops) };
}

async function endAll(stops: readonly (() => Promise<void>)[]): Promise<void> {
  for (const stop of stops.toReversed()) await stop();
}

async function start(
  stops: (() => Promise<void>)[],
): Promise<{ readonly available: true } & KubernetesServer> {
  const programs = { etcd: await findProgram("etcd"), apiserver: await findProgram("kube-apiserver") };
  const folder = await mkdtemp(join(tmpdir(), "tentacular-test-kubernetes-"));
  stops.push(() => rm(folder, { recursive: true, force: true }));
  const etcd = await startEtcd(programs.etcd, folder);
  stops.push(() => etcd.child.stop());

  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  const token = randomBytes(16).toString("hex");
  const files = await writeKeys(folder, token);
  const child = await startChild({
    name: "kube-apiserver",
    command: programs.apiserver,
    args: [
      ...["--etcd-servers", etcd.url, "--bind-address", "127.0.0.1", "--secure-port", String(port)],
      // It makes its own certificate there, signed by an authority of its own.
      ...["--cert-dir", folder, "--token-auth-file", files.tokens, "--anonymous-auth=false"],
      ...["--service-account-issuer", "https://kubernetes.default.svc"],
      ...["--service-account-key-file", files.publicKey, "--service-account-signing-key-file", files.key],
      ...["--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.213.0.0/16"],
      ...["--endpoint-reconciler-type", "none", "--profiling=false", "--shutdown-delay-duration", "0s"],
    ],
    env: { HOME: folder },
    cwd: folder,
    logFile: join(folder, "kube-apiserver.log"),
    ready: () => answersReady(url, token),
    readyWithinMs: 90_000,
  });
  stops.push(() => child.stop());
  const certFile = join(folder, "apiserver.crt");
  const keyFile = join(folder, "apiserver.key");
  return { available: true, url, ca: await readFile(certFile, "utf8"), token, certFile, keyFile };
}

async function startEtcd(program: string, folder: string): Promise<{ child: Child; url: string }> {
  const url = `http://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const child = await startChild({
    name: "etcd",
    command: program,
    args: [
      ...["--data-dir", join(folder, "etcd"), "--name", "test", "--unsafe-no-fsync", "--log-level", "warn"],
      ...["--listen-client-urls", url, "--advertise-client-urls", url],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer],
      ...["--initial-cluster", `test=${peer}`],
    ],
    env: { HOME: folder },
    cwd: folder,
    logFile: join(folder, "etcd.log"),
    ready: () =>
      fetch(`${url}/health`, { signal: AbortSignal.timeout(1_000) }).then(
        ({ ok }) => ok,
        () => false,
      ),
    readyWithinMs: 30_000,
  });
  return { child, url };
}

/** Keys that sign service account tokens, and the one user that the API server knows from the start. */
async function writeKeys(
  folder: string,
  token: string,
): Promise<{ readonly tokens: string; readonly key: string; readonly publicKey: string }> {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  const files = {
    tokens: join(folder, "tokens.csv"),
    key: join(folder, "accounts.key"),
    publicKey: join(folder, "accounts.pub"),
  };
  await writeFile(files.tokens, `${token},admin,admin,system:masters\n`, { mode: 0o600 });
  await writeFile(files.key, privateKey, { mode: 0o600 });
  await writeFile(files.publicKey, publicKey);
  return files;
}

function answersReady(url: string, token: string): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(
      `${url}/readyz`,
      // Its certificate is made while it starts.
      { rejectUnauthorized: false, timeout: 2_000, headers: { authorization: `Bearer ${token}` } },
      (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      },
    );
    asked.once("timeout", () => asked.destroy());
    asked.once("error", () => resolve(false));
    asked.end();
  });
}

/** In KUBEBUILDER_ASSETS, as other projects' tests have it, or on PATH. */
async function findProgram(name: string): Promise<string> {
  const folders = [process.env.KUBEBUILDER_ASSETS ?? "", ...(process.env.PATH ?? "").split(delimiter)];
  for (const folder of folders) {
    if (folder === "") continue;
    const path = join(folder, name);
    const there = await access(path).then(
      () => true,
      () => false,
    );
    if (there) return path;
  }
  throw new Error(`${name} is neither in KUBEBUILDER_ASSETS nor on PATH`);
}
