import { chmod, chown, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from "vitest";
import { nats } from "../../registrars/nats/index.ts";
import { type RunningPostgres, startPostgres } from "../../src/embedded/postgres.ts";
import type { Credentials } from "../../src/exoskeleton/registrar.ts";
import { silentLogger } from "../../src/log.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { createCertificate, createSignedCertificate } from "../support/certificates.ts";
import { failureOf, oneNode, startEngine, type TestEngine } from "../support/engine.ts";
import { type HttpProxy, startHttpProxy } from "../support/http-proxy.ts";
import { runOperatorMode } from "../support/nats-server.ts";
import { createRustfs, storeOf } from "../support/rustfs-registrar.ts";

const services = inject("services");
const folder = await mkdtemp(join(tmpdir(), "tentacular-engine-tls-"));
const made = await createCertificate(folder, "server");
const stranger = await createCertificate(folder, "stranger");
if (made === undefined || stranger === undefined) console.warn("skipped: no openssl to make a certificate");
const { certFile, keyFile, pem: ca } = made ?? { certFile: "", keyFile: "", pem: "" };
const otherCa = stranger?.pem ?? "";
const identity = createIdentity("tls", "probe");
const call = () => ({ signal: AbortSignal.timeout(30_000) });

let engine: TestEngine | undefined;
afterEach(async () => {
  await engine?.stop();
  engine = undefined;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** One run of a node that uses the dependency with these credentials. */
async function use(dependency: string, body: string, credentials: Credentials) {
  await engine?.stop();
  engine = await startEngine({
    ...oneNode(body, { dependencies: `{${dependency}: }`, config: "{timeout: 8s}" }),
    credentials: { [dependency]: credentials },
  });
  return engine.run();
}

describe.skipIf(made === undefined)("with an authority in the credentials, a ready-made client", () => {
  describe.skipIf(!services.postgres.available)("of Postgres", () => {
    let server: RunningPostgres;
    beforeAll(async () => {
      await chmod(folder, 0o755);
      const dataDir = join(folder, "pg");
      server = await startPostgres({ dataDir, logFile: join(folder, "postgres.log") });
      const { uid, gid } = await stat(join(dataDir, "data"));
      await chown(keyFile, uid, gid);
      const sql = postgres({ ...server, max: 1, database: "postgres" });
      await sql.unsafe(`ALTER SYSTEM SET ssl_cert_file = '${certFile}'`);
      await sql.unsafe(`ALTER SYSTEM SET ssl_key_file = '${keyFile}'`);
      await sql.unsafe("ALTER SYSTEM SET ssl = on");
      await sql`SELECT pg_reload_conf()`;
      await sql.end();
    });
    afterAll(() => server.stop());

    const body = `const [row] = await ctx.dependency("tentacular-postgres").sql\`
      select ssl from pg_stat_ssl where pid = pg_backend_pid()\`; return row.ssl;`;
    const credentials = (sslmode: string, authority?: string): Credentials => ({
      protocol: "postgresql",
      host: server.host,
      port: server.port,
      database: "postgres",
      user: server.user,
      password: server.password,
      sslmode,
      ...(authority !== undefined && { ca: authority }),
    });

    it("encrypts, and checks the certificate as sslmode says", async () => {
      for (const mode of ["require", "prefer"])
        expect(await use("tentacular-postgres", body, credentials(mode))).toMatchObject({ result: true });
      for (const mode of ["verify-full", "verify-ca"]) {
        expect(await use("tentacular-postgres", body, credentials(mode, ca))).toMatchObject({ result: true });
        const refused = failureOf(await use("tentacular-postgres", body, credentials(mode, otherCa)));
        expect(refused.message).toMatch(/certificate/i);
      }
      expect(await use("tentacular-postgres", body, credentials("disable"))).toMatchObject({ result: false });
    });
  });

  it.skipIf(!services.nats.available)("of NATS trusts it, and nobody else", async () => {
    const block = `tls: { cert_file: ${JSON.stringify(certFile)}, key_file: ${JSON.stringify(keyFile)} }`;
    const server = await runOperatorMode({}, (config) => `${config}\n${block}`);
    const url = server.url.replace("nats:", "tls:");
    const registrar = await nats.create(
      {
        url,
        tentacleUrl: undefined,
        operatorSigningKey: server.operatorSeed,
        systemCreds: server.systemCreds,
        derivationKey: undefined,
        caFile: certFile,
      },
      { log: silentLogger, installation: "test" },
    );
    try {
      const { credentials } = await registrar.register(identity, undefined, call());
      const body = `const nats = ctx.dependency("tentacular-nats"); const connection = await nats.connect();
        const heard = connection.subscribe(nats.subject + "x", { max: 1 });
        connection.publish(nats.subject + "x", "over TLS");
        for await (const message of heard) return message.string();`;
      expect(await use("tentacular-nats", body, credentials)).toMatchObject({ result: "over TLS" });
      const refused = failureOf(await use("tentacular-nats", body, { ...credentials, ca: otherCa }));
      expect(refused.message).toMatch(/certificate/i);
    } finally {
      await registrar.close();
      await server.remove();
    }
  });

  it.skipIf(!services.rustfs.available)("of object storage trusts it, and nobody else", async () => {
    const store = storeOf(services.rustfs, "engine-tls");
    const registrar = await createRustfs(store);
    const { credentials } = await registrar.register(identity, undefined, call());
    const signed = await createSignedCertificate(folder);
    if (signed === undefined) throw new Error("openssl is gone");
    const { cert, key, authority } = signed;
    const proxy = await startHttpProxy(store.endpoint, { cert, key });
    const alone = await startHttpProxy(store.endpoint, { cert: ca, key: await readFile(keyFile, "utf8") });
    try {
      const behind = ({ endpoint }: HttpProxy, given: string): Credentials => {
        const { hostname, port } = new URL(endpoint);
        return { ...credentials, endpoint, host: hostname, port: Number(port), ca: given };
      };
      const body = `const s3 = ctx.dependency("tentacular-rustfs"); await s3.put("a", "b");
        return new TextDecoder().decode(await s3.get("a"));`;
      expect(await use("tentacular-rustfs", body, behind(proxy, authority))).toMatchObject({ result: "b" });
      const refused = failureOf(await use("tentacular-rustfs", body, behind(proxy, otherCa)));
      expect(refused.message).toMatch(/certificate/i);
      // A server whose certificate is its own authority: Deno takes none of these.
      const own = failureOf(await use("tentacular-rustfs", body, behind(alone, ca)));
      expect(own.hint).toMatch(/an authority sign/);
    } finally {
      await proxy.close();
      await alone.close();
      await registrar.unregister(identity, { data: "delete" }, call());
      await registrar.close();
    }
  });
});
