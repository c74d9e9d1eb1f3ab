import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { Call } from "../../src/exoskeleton/registrar.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { type Certificate, createCertificate } from "../support/certificates.ts";
import { type HttpProxy, startHttpProxy } from "../support/http-proxy.ts";
import { login } from "../support/object-store.ts";
import { createRustfs, storeOf } from "../support/rustfs-registrar.ts";

const server = inject("services").rustfs;
const folder = await mkdtemp(join(tmpdir(), "tentacular-test-tls-"));
afterAll(() => rm(folder, { recursive: true, force: true }));
const certificate = await createCertificate(folder, "object-store");
const skip = server.available ? (certificate === undefined ? "no openssl" : undefined) : server.reason;
if (skip !== undefined) console.warn(`skipped: ${skip}`);

describe.skipIf(skip !== undefined)("an object store with addresses and an authority of its own", () => {
  const direct = storeOf(server, `tls-${randomBytes(4).toString("hex")}`);
  const { certFile, keyFile, pem }: Certificate = certificate ?? { certFile: "", keyFile: "", pem: "" };
  let proxy: HttpProxy;

  beforeAll(async () => {
    proxy = await startHttpProxy(direct.endpoint, { cert: pem, key: await readFile(keyFile, "utf8") });
  });
  afterAll(() => proxy.close());

  test("with its authority everything works, and tentacles are told it and their own address", async () => {
    const registrar = await createRustfs(
      { ...direct, endpoint: proxy.endpoint },
      { caFile: certFile, tentacleEndpoint: direct.endpoint },
    );
    const identity = createIdentity("tls", "hello");
    const { credentials } = await registrar.register(identity, undefined, call());
    const { hostname, port } = new URL(direct.endpoint);
    expect(credentials).toMatchObject({
      ca: pem,
      endpoint: direct.endpoint,
      host: hostname,
      port: Number(port),
    });
    await login(credentials);
    const { facts } = await registrar.inspect(identity, credentials, { ...call(), withSizes: true });
    expect(facts).toMatchObject({ encrypted: true, objects: 0 });
    await registrar.unregister(identity, { data: "delete" }, call());
    await registrar.close();
  });

  test("without it, the probe says which setting is missing", async () => {
    const registrar = await createRustfs({ ...direct, endpoint: proxy.endpoint });
    const probe = await registrar.probe(AbortSignal.timeout(10_000));
    expect(probe).toMatchObject({ available: false });
    expect(probe.reason).toContain("certificate");
    expect(probe.remedy).toContain("TENTACULAR_RUSTFS_CA_FILE");
    await registrar.close();
  });
});

function call(): Call {
  return { signal: AbortSignal.timeout(45_000) };
}
