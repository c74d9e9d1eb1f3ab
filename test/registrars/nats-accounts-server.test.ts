import { randomBytes } from "node:crypto";
import { chmod, readFile, stat, symlink, watch, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createUser } from "@nats-io/nkeys";
import { afterEach, describe, expect, inject, it } from "vitest";
import { createValidator } from "../../registrars/nats/accounts-file/validate.ts";
import { findBinary } from "../../src/embedded/binaries.ts";
import { natsBinary } from "../../src/embedded/nats.ts";
import { TentacularError } from "../../src/errors.ts";
import type { Call } from "../../src/exoskeleton/registrar.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";
import { createAccountsRegistrar, FOREIGN, runWithAccounts } from "../support/nats-accounts.ts";
import { runNats } from "../support/nats-server.ts";
import { connectAs, store, stored, using } from "../support/nats.ts";
import { whereToFind } from "../support/services.ts";

const shared = inject("services").nats;
if (!shared.available) console.warn(`the tests of NATS accounts in a file are skipped: ${shared.reason}`);

describe.skipIf(!shared.available)("a NATS server with accounts in its configuration", () => {
  const cleanups: (() => Promise<unknown>)[] = [];
  const call = (): Call => ({ signal: AbortSignal.timeout(45_000) });
  const fresh = (): Identity => createIdentity("files", `t-${randomBytes(4).toString("hex")}`);

  afterEach(async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  });

  async function started<T extends { remove(): Promise<unknown> }>(starting: Promise<T>): Promise<T> {
    const server = await starting;
    cleanups.push(() => server.remove());
    return server;
  }

  async function refusal(work: Promise<unknown>): Promise<TentacularError> {
    const error: unknown = await work.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error instanceof TentacularError) return error;
    throw new Error("it was not refused", { cause: error });
  }

  const seedOf = (user: ReturnType<typeof createUser>): string => new TextDecoder().decode(user.getSeed());

  it.each([
    ["without authentication", ""],
    ["with one shared token", `authorization: { token: "secret" }`],
    ["with one shared user", `authorization: { user: a, password: b }`],
  ])("%s is refused and its file is not written: it cannot isolate tentacles", async (_what, config) => {
    const server = await started(runNats(config, { "accounts.conf": FOREIGN }));
    const accountsFile = join(server.folder, "accounts.conf");
    const registrar = await createAccountsRegistrar({
      url: server.url,
      accountsFile,
      pidFile: "",
      systemSeed: seedOf(createUser()),
    });
    const probe = await registrar.probe(AbortSignal.timeout(10_000));
    expect(probe).toMatchObject({
      available: false,
      reason: `NATS at ${server.url} asks nobody for a key, so it cannot isolate tentacles`,
    });
    expect(probe.remedy).toContain("one shared token");
    expect((await refusal(registrar.register(fresh(), undefined, call()))).message).toBe(probe.reason);
    expect(await readFile(accountsFile, "utf8")).toBe(FOREIGN);
  });

  it("that does not know the system user, or not as one, says so", async () => {
    const server = await started(runWithAccounts());
    const stranger = await createAccountsRegistrar({ ...server, systemSeed: seedOf(createUser()) });
    expect(await stranger.probe(AbortSignal.timeout(10_000))).toMatchObject({
      available: false,
      reason: `NATS at ${server.url} refuses the system user`,
    });

    const registrar = await createAccountsRegistrar(server);
    const { credentials } = await registrar.register(fresh(), undefined, call());
    const common = await createAccountsRegistrar({ ...server, systemSeed: String(credentials.creds) });
    expect((await refusal(common.register(fresh(), undefined, call()))).message).toMatch(/system/);
  });

  it("that does not include the file is found out by logging in", async () => {
    const server = await started(runWithAccounts());
    const accountsFile = join(server.folder, "elsewhere.conf");
    const registrar = await createAccountsRegistrar({ ...server, accountsFile });
    const error = await refusal(registrar.register(fresh(), undefined, call()));
    expect(error.message).toBe(`NATS at ${server.url} has not taken up the file ${accountsFile} within 10 s`);
    expect(error.hint).toContain("include");
  });

  it("that cannot read what stands in the file already keeps that, byte for byte", async () => {
    const server = await started(runWithAccounts());
    const broken = `${FOREIGN}\n{{{ broken`;
    await writeFile(server.accountsFile, broken);
    const registrar = await createAccountsRegistrar(server);
    const error = await refusal(registrar.register(fresh(), undefined, call()));
    expect(error.message).toBe(
      `NATS at ${server.url} refuses its configuration, so what is new in it has no effect`,
    );
    expect(await server.text()).toBe(broken);
  });

  it("may be told to reload by its own watcher, as the Helm chart has one", async () => {
    const server = await started(runWithAccounts());
    const stop = new AbortController();
    const watching = (async () => {
      for await (const { filename } of watch(server.folder, { signal: stop.signal }))
        if (filename === "accounts.conf")
          process.kill(Number(await readFile(server.pidFile, "utf8")), "SIGHUP");
    })().catch(() => undefined);
    const registrar = await createAccountsRegistrar(server, { by: "nobody" });
    const { credentials } = await registrar.register(fresh(), undefined, call());
    await store(credentials, "text");
    expect(await stored(credentials)).toBe("text");
    stop.abort();
    await watching;
  });

  it("is configured as the Helm chart writes it", async () => {
    const system = createUser();
    const folder = `{"jetstream": {"store_dir": "FOLDER/jetstream"}, "system_account": "SYS",
      "accounts": {
        include more/accounts.conf;
        "SYS": { "users": [ { "nkey": "${system.getPublicKey()}" } ] }
      }
    }`;
    const server = await started(runNats(folder.slice(1, -1), { "more/accounts.conf": "" }));
    const registrar = await createAccountsRegistrar({
      url: server.url,
      accountsFile: join(server.folder, "more/accounts.conf"),
      pidFile: "",
      systemSeed: seedOf(system),
    });
    const { credentials } = await registrar.register(fresh(), undefined, call());
    await store(credentials, "text");
  });

  it("fault 25: gets the accounts of tentacles that are deployed at once by two servers, and keeps foreign text", async () => {
    const server = await started(runWithAccounts());
    const registrars = await Promise.all([
      createAccountsRegistrar(server),
      createAccountsRegistrar(server, { by: "pid file" }),
    ]);
    const identities = Array.from({ length: 12 }, fresh);
    const all = await Promise.all(
      identities.flatMap((identity, index) => {
        const registrar = registrars[index % 2];
        return registrar === undefined ? [] : [registrar.register(identity, undefined, call())];
      }),
    );
    for (const { credentials } of all) await using(credentials, (connection) => connection.flush());
    const text = await server.text();
    for (const { key } of identities) expect(text).toContain(`# tentacular:test:${key} begin\n`);
    expect(text.endsWith(FOREIGN)).toBe(true);
  });

  it("does not disturb one tentacle by the deploys of others", async () => {
    const server = await started(runWithAccounts());
    const registrar = await createAccountsRegistrar(server);
    const { credentials } = await registrar.register(fresh(), undefined, call());
    await store(credentials, "kept");
    const connection = await connectAs(credentials);
    const heard: string[] = [];
    connection.subscribe(`${credentials.subject_prefix}x`, {
      callback: (_error, message) => {
        heard.push(message.string());
      },
    });
    for (let round = 0; round < 5; round++) {
      const other = fresh();
      await registrar.register(other, undefined, call());
      if (round % 2 === 0) await registrar.unregister(other, { data: "delete" }, call());
      connection.publish(`${credentials.subject_prefix}x`, `${round}`);
      await connection.flush();
    }
    await expect.poll(() => heard).toEqual(["0", "1", "2", "3", "4"]);
    expect(connection.isClosed()).toBe(false);
    await connection.close();
    expect(await stored(credentials)).toBe("kept");
  });

  it("takes up, at the next deploy, what a server wrote that died before it could tell", async () => {
    const server = await started(runWithAccounts());
    const registrar = await createAccountsRegistrar(server);
    const identity = fresh();
    const { credentials: old } = await registrar.register(identity, undefined, call());
    const { credentials } = await registrar.rotate(identity, old, call());
    // As `retire` leaves it when it is killed between the writing and the reload.
    await writeFile(
      server.accountsFile,
      (await server.text()).replaceAll(String(old.user), createUser().getPublicKey()),
    );
    await using(old, (connection) => connection.flush());
    await registrar.retire(identity, credentials, call());
    await expect(using(old, (connection) => connection.flush())).rejects.toThrow(/authorization/i);
    await using(credentials, (connection) => connection.flush());
  });

  it("keeps accounts and streams over a restart", async () => {
    const server = await started(runWithAccounts());
    const registrar = await createAccountsRegistrar(server);
    const identity = fresh();
    const { credentials } = await registrar.register(identity, undefined, call());
    await store(credentials, "kept");
    await server.stop();
    expect(await registrar.probe(AbortSignal.timeout(10_000))).toMatchObject({ available: false });
    await server.start();
    expect(await registrar.register(identity, credentials, call())).toEqual({
      credentials,
      created: [],
      repaired: [],
    });
    expect(await stored(credentials)).toBe("kept");
  });

  it("without room for the streams of one more account says so, and keeps nothing of it", async () => {
    const server = await started(runWithAccounts({ jetstream: "max_file_store: 150MB" }));
    const registrar = await createAccountsRegistrar(server);
    const [one, two] = [fresh(), fresh()];
    const { credentials } = await registrar.register(one, undefined, call());
    const error = await refusal(registrar.register(two, undefined, call()));
    expect(error.message).toContain(`has no room for the streams of ${two.key}`);
    expect(await registrar.inspect(two, undefined, call())).toMatchObject({ exists: false });
    await store(credentials, "works");
  });

  it("without JetStream serves subjects alone", async () => {
    const server = await started(runWithAccounts({ jetstream: "" }));
    const registrar = await createAccountsRegistrar(server);
    const identity = fresh();
    const { credentials } = await registrar.register(identity, undefined, call());
    expect(await registrar.inspect(identity, credentials, call())).toMatchObject({ exists: true, drift: [] });
    expect((await registrar.unregister(identity, { data: "delete" }, call())).failed).toEqual([]);
  });

  describe("whose file", () => {
    it("is a link, or is not readable by all, keeps both", async () => {
      const server = await started(runWithAccounts());
      const link = join(server.folder, "link.conf");
      await symlink(server.accountsFile, link);
      await chmod(server.accountsFile, 0o640);
      const registrar = await createAccountsRegistrar({ ...server, accountsFile: link });
      await registrar.register(fresh(), undefined, call());
      expect((await stat(server.accountsFile)).mode & 0o777).toBe(0o640);
      expect(await readFile(link, "utf8")).toBe(await server.text());
    });

    it("cannot be written is named", async () => {
      const server = await started(runWithAccounts());
      const accountsFile = join(server.accountsFile, "not-a-folder.conf");
      const registrar = await createAccountsRegistrar({ ...server, accountsFile });
      const error = await refusal(registrar.register(fresh(), undefined, call()));
      expect(error.message).toContain(accountsFile);
      expect(error.hint).toContain("TENTACULAR_NATS_ACCOUNTS_FILE");
    });
  });

  it("is not mistaken for the process whose id an old pid file names", async () => {
    const server = await started(runWithAccounts());
    const pidFile = join(server.folder, "old.pid");
    await writeFile(pidFile, String(process.pid));
    const hangups: string[] = [];
    const note = (): void => {
      hangups.push("SIGHUP");
    };
    process.on("SIGHUP", note);
    cleanups.push(async () => process.off("SIGHUP", note));
    const registrar = await createAccountsRegistrar({ ...server, pidFile }, { by: "pid file" });
    const error = await refusal(registrar.register(fresh(), undefined, call()));
    expect(error.message).toContain(`the process named in ${pidFile} cannot be told`);
    expect(hangups).toEqual([]);
  });

  it("is asked beforehand, where its program is there, whether it will understand", async () => {
    const { path } = await findBinary(natsBinary, whereToFind());
    const validate = createValidator(async () => path, "the file x");
    const { signal } = new AbortController();
    await validate(FOREIGN, `A: { users: [ { user: a, password: b } ] }\n${FOREIGN}`, signal);
    const twice = `A: { users: [ { nkey: ${createUser().getPublicKey()} } ] }`;
    const error = await refusal(validate(FOREIGN, `${twice}\n${twice.replace("A", "B")}`, signal));
    expect(error.message).toBe("the file x would no longer be valid, so nothing was written");
    // It knows nothing of a variable that stands elsewhere, so it is no judge.
    await validate("A: $ELSEWHERE", "A: $ELSEWHERE\nB: {", signal);
    await createValidator(async () => undefined, "the file x")(FOREIGN, "{{{", signal);
  });
});
