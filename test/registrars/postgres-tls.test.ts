import { execFile } from "node:child_process";
import { chmod, chown, mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import postgres from "postgres";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { PostgresSettings } from "../../registrars/postgres/settings.ts";
import { type RunningPostgres, startPostgres } from "../../src/embedded/postgres.ts";
import type { Probe } from "../../src/exoskeleton/registrar.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { createTestDatabase, type TestDatabase } from "./postgres-server.ts";

const openssl = await promisify(execFile)("openssl", ["version"]).then(
  () => true,
  () => false,
);
if (!openssl) console.warn("Postgres over TLS: skipped: no openssl on PATH to make a certificate");

describe.skipIf(!openssl)("Postgres over TLS", () => {
  let folder: string;
  let server: RunningPostgres;
  let database: TestDatabase;
  let ca: string;

  /** A certificate for 127.0.0.1 that signs itself. */
  async function makeCertificate(
    name: string,
  ): Promise<{ readonly certificate: string; readonly key: string }> {
    const certificate = join(folder, `${name}.crt`);
    const key = join(folder, `${name}.key`);
    const subject = ["-subj", "/CN=tentacular-test", "-addext", "subjectAltName=IP:127.0.0.1"];
    const made = [
      "-x509",
      "-newkey",
      "rsa:2048",
      "-nodes",
      "-days",
      "2",
      "-keyout",
      key,
      "-out",
      certificate,
    ];
    await promisify(execFile)("openssl", ["req", ...made, ...subject]);
    return { certificate, key };
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "tentacular-tls-"));
    await chmod(folder, 0o755);
    const dataDir = join(folder, "pg");
    server = await startPostgres({ dataDir, logFile: join(folder, "postgres.log") });
    const { certificate, key } = await makeCertificate("server");
    const { uid, gid } = await stat(join(dataDir, "data"));
    await chown(key, uid, gid);
    ca = await readFile(certificate, "utf8");
    database = await createTestDatabase(server, "createrole");
    for (const [name, value] of [
      ["ssl_cert_file", certificate],
      ["ssl_key_file", key],
      ["ssl", "on"],
    ] as const)
      await database.root.unsafe(`ALTER SYSTEM SET ${name} = '${value}'`);
    await database.root`SELECT pg_reload_conf()`;
    await vi.waitFor(
      async () => expect(await probe({ sslmode: "require" })).toMatchObject({ available: true }),
      { timeout: 20_000 },
    );
  });
  afterAll(async () => {
    try {
      await database.drop();
    } finally {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    }
  });

  async function probe(overrides: Partial<PostgresSettings>): Promise<Probe> {
    return (await database.registrar(overrides)).probe(AbortSignal.timeout(5_000));
  }

  test("sslmode is honoured: encrypted or not, and the certificate checked where it asks for that", async () => {
    expect(await probe({ sslmode: "prefer" })).toMatchObject({ available: true });
    for (const sslmode of ["verify-ca", "verify-full"] as const) {
      expect(await probe({ sslmode, ca })).toMatchObject({ available: true });
      const refused = {
        available: false,
        reason: `the TLS certificate of 127.0.0.1:${server.port} is not accepted`,
      };
      expect(await probe({ sslmode })).toMatchObject(refused);
      const other = await readFile((await makeCertificate(sslmode)).certificate, "utf8");
      expect(await probe({ sslmode, ca: other })).toMatchObject(refused);
    }
    // The certificate names the address and not this name for it.
    expect(await probe({ host: "localhost", sslmode: "verify-ca", ca })).toMatchObject({ available: true });
    expect(await probe({ host: "localhost", sslmode: "verify-full", ca })).toMatchObject({
      available: false,
    });
  });

  test("a tentacle gets the mode and the authority, and its sessions are encrypted", async () => {
    const registrar = await database.registrar({ sslmode: "verify-full", ca });
    const identity = createIdentity("tls", "hello");
    const call = { signal: AbortSignal.timeout(30_000) };
    const { credentials } = await registrar.register(identity, undefined, call);
    expect(credentials).toMatchObject({ sslmode: "verify-full", ca });
    expect(new URL(String(credentials.uri)).searchParams.get("sslmode")).toBe("verify-full");
    const sql = postgres({
      host: String(credentials.host),
      port: Number(credentials.port),
      database: String(credentials.database),
      user: String(credentials.user),
      password: String(credentials.password),
      max: 1,
      ssl: { ca: String(credentials.ca), checkServerIdentity: () => undefined },
    });
    // Acting as the owner role, a session does not see its own row.
    await sql`SET ROLE NONE`;
    expect(await sql`SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`).toEqual([{ ssl: true }]);
    await sql.end();
    await registrar.unregister(identity, { data: "delete" }, call);
  });
});
