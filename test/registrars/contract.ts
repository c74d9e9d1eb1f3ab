import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Conflict } from "../../src/errors.ts";
import type {
  Call,
  Credentials,
  Registrar,
  RegistrarDefinition,
  Registration,
} from "../../src/exoskeleton/registrar.ts";
import { createIdentity, type Identity } from "../../src/tentacle/identity.ts";

/** An open connection of a tentacle. */
export interface OpenSession {
  /** Resolves when the service has ended it. */
  readonly ended: Promise<unknown>;
  close(): Promise<unknown>;
}

/** Something done by hand to the resources of a tentacle that `inspect` must show and `register` must mend. */
export interface Damage {
  readonly name: string;
  apply(identity: Identity, credentials: Credentials): Promise<unknown>;
}

/** What the suite must know of a service. Hooks use the service's own client, never the registrar. */
export interface RegistrarUnderTest {
  readonly name: string;
  /** Why the suite cannot run here. */
  readonly skip?: string;
  readonly definition: Pick<RegistrarDefinition, "fields" | "protocol">;
  /** The longest name the service takes, in bytes. */
  readonly maxNameLength: number;
  /** A new registrar on the same service, as another server would make it, or one of another installation. */
  create(installation?: string): Promise<Registrar>;
  /** Rejects when the credentials are refused. */
  login(credentials: Credentials): Promise<unknown>;
  openSession(credentials: Credentials): Promise<OpenSession>;
  /** Data that must outlive the credentials: one text a tentacle. */
  write(credentials: Credentials, text: string): Promise<unknown>;
  read(credentials: Credentials): Promise<string | undefined>;
  /** Tries to get at what `write` stored for the victim; must reject. */
  attack(attacker: Credentials, victim: Credentials): Promise<unknown>;
  /** Asks the service, with all rights, for everything it still has of this tentacle. */
  leftovers(identity: Identity): Promise<readonly string[]>;
  readonly damages: readonly Damage[];
  /** Removes some of the tentacle's resources by hand. */
  removeHalf(identity: Identity): Promise<unknown>;
  /** Puts an object that is not ours where the tentacle's would be; `fingerprint` describes it. */
  occupy(identity: Identity): Promise<{ fingerprint(): Promise<string>; remove(): Promise<unknown> }>;
}

/** The promises of `Registrar`, tried on a real service. Every registrar's test file calls this. */
export function describeRegistrar(under: RegistrarUnderTest): void {
  if (under.skip !== undefined) {
    console.warn(`${under.name}: skipped: ${under.skip}`);
    describe.skip(`registrar ${under.name} (${under.skip})`, () => test("contract", () => {}));
    return;
  }

  describe(`registrar ${under.name}`, () => {
    let registrar: Registrar;
    let other: Registrar;
    let used: Identity[] = [];

    beforeAll(async () => {
      [registrar, other] = await Promise.all([under.create(), under.create()]);
    });
    afterEach(async () => {
      for (const identity of used) await registrar.unregister(identity, { data: "delete" }, call());
      used = [];
    });
    afterAll(async () => {
      await Promise.all([registrar.close(), other.close()]);
    });

    function newIdentity(): Identity {
      const identity = createIdentity("contract", `t-${randomBytes(4).toString("hex")}`);
      used.push(identity);
      return identity;
    }

    async function registered(): Promise<{ identity: Identity } & Registration> {
      const identity = newIdentity();
      return { identity, ...(await registrar.register(identity, undefined, call())) };
    }

    const secretsOf = (credentials: Credentials): string =>
      JSON.stringify(
        under.definition.fields.filter(({ secret }) => secret).map(({ name }) => credentials[name]),
      );

    async function expectHealthy(identity: Identity, credentials: Credentials): Promise<void> {
      await under.login(credentials);
      expect(await registrar.inspect(identity, credentials, call())).toMatchObject({
        exists: true,
        drift: [],
      });
    }

    test("probe says that the service is usable, and its version", async () => {
      const probe = await registrar.probe(AbortSignal.timeout(10_000));
      expect(probe).toMatchObject({ available: true });
      expect(probe.version).toMatch(/\d/);
      expect(probe.latencyMs).toBeGreaterThan(0);
    });

    test("names are a pure, injective function of the identity, within the service's limit", () => {
      const long = "x".repeat(62);
      const pairs = [
        ["a-b", "c"],
        ["a", "b-c"],
        ["a", "b"],
        ["b", "a"],
        [`${long}y`, `${long}y`],
        [`${long}y`, `${long}z`],
        [`${long}z`, `${long}y`],
      ] as const;
      const all = pairs.map(([enclave, name]) => registrar.names(createIdentity(enclave, name)));
      expect(new Set(all.map((names) => JSON.stringify(names))).size).toBe(pairs.length);
      expect(other.names(createIdentity("a", "b"))).toEqual(registrar.names(createIdentity("a", "b")));
      for (const name of all.flatMap((names) => Object.values(names)))
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(under.maxNameLength);
    });

    test("inspect and unregister of a tentacle that never was find nothing", async () => {
      const identity = newIdentity();
      expect(await registrar.inspect(identity, undefined, call())).toMatchObject({
        exists: false,
        drift: [],
      });
      for (const data of ["keep", "delete"] as const)
        expect(await registrar.unregister(identity, { data }, call())).toEqual({ removed: [], failed: [] });
      expect(await under.leftovers(identity)).toEqual([]);
    });

    test("register makes credentials that log in, with every field that the definition names", async () => {
      const { identity, credentials, created, repaired } = await registered();
      expect(created.length).toBeGreaterThan(0);
      expect(repaired).toEqual([]);
      expect(credentials.protocol).toBe(under.definition.protocol);
      for (const { name } of under.definition.fields) {
        const value = credentials[name];
        expect(value, name).toBeDefined();
        expect(value, name).not.toBe("");
      }
      await under.write(credentials, "first");
      expect(await under.read(credentials)).toBe("first");
      await expectHealthy(identity, credentials);
    });

    test("no secret is in names, facts, drift or what is reported as created", async () => {
      const { identity, credentials, created } = await registered();
      const inspection = await registrar.inspect(identity, credentials, { ...call(), withSizes: true });
      const shown = JSON.stringify([registrar.names(identity), inspection, created]);
      for (const { name } of under.definition.fields.filter(({ secret }) => secret))
        expect(shown).not.toContain(String(credentials[name]));
    });

    test("register again keeps the credentials and changes nothing", async () => {
      const { identity, credentials } = await registered();
      await under.write(credentials, "kept");
      expect(await other.register(identity, credentials, call())).toEqual({
        credentials,
        created: [],
        repaired: [],
      });
      expect(await under.read(credentials)).toBe("kept");
    });

    test("register with the Secret lost gives new credentials to the same data", async () => {
      const { identity, credentials } = await registered();
      await under.write(credentials, "kept");
      const again = await registrar.register(identity, undefined, call());
      expect(await under.read(again.credentials)).toBe("kept");
      await expectHealthy(identity, again.credentials);
    });

    test("register replaces credentials that do not work", async () => {
      const { identity, credentials } = await registered();
      await under.write(credentials, "kept");
      const secrets = under.definition.fields
        .filter(({ secret }) => secret)
        .map(({ name }) => [name, "wrong"] as const);
      const stale: Credentials = { ...credentials, ...Object.fromEntries(secrets) };
      await expect(under.login(stale)).rejects.toThrow();
      const again = await registrar.register(identity, stale, call());
      expect(await under.read(again.credentials)).toBe("kept");
      await expectHealthy(identity, again.credentials);
      const fromElsewhere = await registrar.register(identity, { protocol: "none" }, call());
      await expectHealthy(identity, fromElsewhere.credentials);
    });

    test("20 registers at once from two servers show no error and end in one state", async () => {
      const identity = newIdentity();
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          (index % 2 === 0 ? registrar : other).register(identity, undefined, call()),
        ),
      );
      const attempts = await Promise.allSettled(
        results.map(async ({ credentials }) => under.login(credentials)),
      );
      const valid = results.filter((_, index) => attempts[index]?.status === "fulfilled");
      const winner = valid.at(-1)?.credentials;
      if (winner === undefined) throw new Error("none of the returned credentials logs in");
      await under.write(winner, "one state");
      for (const { credentials } of valid) expect(await under.read(credentials)).toBe("one state");

      await registrar.retire(identity, winner, call());
      for (const { credentials } of results)
        if (credentials !== winner) await expect(under.login(credentials)).rejects.toThrow();
      await expectHealthy(identity, winner);
      expect(await other.register(identity, winner, call())).toMatchObject({ created: [], repaired: [] });
    });

    test("two tentacles are refused at each other's data", async () => {
      const [one, two] = await Promise.all([registered(), registered()]);
      await under.write(one.credentials, "of one");
      await under.write(two.credentials, "of two");
      await expect(under.attack(one.credentials, two.credentials)).rejects.toThrow();
      await expect(under.attack(two.credentials, one.credentials)).rejects.toThrow();
      expect(await under.read(one.credentials)).toBe("of one");
      expect(await under.read(two.credentials)).toBe("of two");
    });

    test("rotate: both work until retire ends the old, its open sessions too", async () => {
      const { identity, credentials: old } = await registered();
      await under.write(old, "kept");
      const { credentials: fresh } = await registrar.rotate(identity, old, call());
      expect(fresh).not.toEqual(old);
      expect(await under.read(old)).toBe("kept");
      expect(await under.read(fresh)).toBe("kept");
      const [oldSession, freshSession] = await Promise.all([
        under.openSession(old),
        under.openSession(fresh),
      ]);
      try {
        for (const attempt of [registrar, other]) await attempt.retire(identity, fresh, call());
        await oldSession.ended;
        await expect(under.login(old)).rejects.toThrow();
        await under.write(fresh, "by the new one");
        expect(await under.read(fresh)).toBe("by the new one");
        await expectHealthy(identity, fresh);
      } finally {
        await Promise.all([oldSession.close(), freshSession.close()]);
      }
    });

    test("retire with nothing to retire keeps the credentials and the open sessions", async () => {
      const { identity, credentials } = await registered();
      const session = await under.openSession(credentials);
      await registrar.retire(identity, credentials, call());
      const state = await Promise.race([session.ended.then(() => "ended"), under.login(credentials)]);
      expect(state).not.toBe("ended");
      await session.close();
    });

    for (const damage of under.damages)
      test(`faults 29, 30: damage is shown and mended: ${damage.name}`, async () => {
        const { identity, credentials } = await registered();
        await under.write(credentials, "kept");
        await damage.apply(identity, credentials);
        const { drift, stale = false, place } = await registrar.inspect(identity, credentials, call());
        expect(drift.length).toBeGreaterThan(0);
        const mended = await registrar.register(identity, credentials, call());
        expect(stale).toBe(secretsOf(mended.credentials) !== secretsOf(credentials));
        expect(mended.credentials).toMatchObject(place ?? {});
        expect([...mended.created, ...mended.repaired]).not.toEqual([]);
        expect(await under.read(mended.credentials)).toBe("kept");
        await registrar.retire(identity, mended.credentials, call());
        await expectHealthy(identity, mended.credentials);
      });

    test("fault 35: unregister that keeps the data ends login and sessions; register finds the data", async () => {
      const { identity, credentials } = await registered();
      await under.write(credentials, "kept");
      const session = await under.openSession(credentials);
      const removal = await registrar.unregister(identity, { data: "keep" }, call());
      expect(removal.failed).toEqual([]);
      await session.ended;
      await session.close();
      await expect(under.login(credentials)).rejects.toThrow();
      expect(await registrar.inspect(identity, undefined, call())).toMatchObject({ exists: true, drift: [] });
      expect(await registrar.unregister(identity, { data: "keep" }, call())).toMatchObject({ failed: [] });

      const again = await registrar.register(identity, undefined, call());
      await expect(under.login(credentials)).rejects.toThrow();
      expect(await under.read(again.credentials)).toBe("kept");
      await expectHealthy(identity, again.credentials);
    });

    test("unregister that deletes leaves nothing; twice is fine; the next register begins anew", async () => {
      const { identity, credentials } = await registered();
      await under.write(credentials, "gone");
      const session = await under.openSession(credentials);
      const removal = await registrar.unregister(identity, { data: "delete" }, call());
      expect(removal.failed).toEqual([]);
      expect(removal.removed.length).toBeGreaterThan(0);
      await session.ended;
      await session.close();
      await expect(under.login(credentials)).rejects.toThrow();
      expect(await under.leftovers(identity)).toEqual([]);
      expect(await registrar.inspect(identity, undefined, call())).toMatchObject({
        exists: false,
        drift: [],
      });
      expect(await other.unregister(identity, { data: "delete" }, call())).toEqual({
        removed: [],
        failed: [],
      });

      const again = await registrar.register(identity, credentials, call());
      expect(await under.read(again.credentials)).toBeUndefined();
      await expectHealthy(identity, again.credentials);
    });

    test("unregister deletes after a plain one, and when half is gone already", async () => {
      for (const first of ["keep", "half"] as const) {
        const { identity, credentials } = await registered();
        await under.write(credentials, "gone");
        if (first === "keep") await registrar.unregister(identity, { data: "keep" }, call());
        else await under.removeHalf(identity);
        expect(await registrar.unregister(identity, { data: "delete" }, call())).toMatchObject({
          failed: [],
        });
        expect(await under.leftovers(identity)).toEqual([]);
      }
    });

    test("revert of a first register leaves nothing, and twice is fine", async () => {
      const { identity, credentials, created } = await registered();
      for (const attempt of [registrar, other]) await attempt.revert(identity, created, call());
      await expect(under.login(credentials)).rejects.toThrow();
      expect(await under.leftovers(identity)).toEqual([]);
    });

    test("revert touches nothing that was there before", async () => {
      const { identity, credentials } = await registered();
      await under.write(credentials, "kept");
      const again = await registrar.register(identity, credentials, call());
      await registrar.revert(identity, again.created, call());
      expect(await under.read(credentials)).toBe("kept");
      const rotated = await registrar.rotate(identity, credentials, call());
      await registrar.revert(identity, rotated.created, call());
      await expect(under.login(rotated.credentials)).rejects.toThrow();
      expect(await under.read(credentials)).toBe("kept");
      await expectHealthy(identity, credentials);
    });

    test("marks lists what there is of every tentacle, of this installation alone", async () => {
      const marksOf = async ({ enclave, name }: Identity) =>
        (await other.marks(call())).filter((mark) => mark.enclave === enclave && mark.name === name);
      const [live, kept] = await Promise.all([registered(), registered()]);
      await registrar.unregister(kept.identity, { data: "keep" }, call());
      for (const { identity, credentials } of [live, kept]) {
        const [mark, ...more] = await marksOf(identity);
        expect(more).toEqual([]);
        expect(mark?.items.length).toBeGreaterThan(0);
        const words = JSON.stringify(registrar.names(identity));
        expect(
          mark?.items.some((item) => words.includes(item.replace(/^\S+ /, ""))),
          String(mark?.items),
        ).toBe(true);
        if (mark?.since !== undefined) expect(Date.parse(mark.since)).not.toBeNaN();
        for (const { name } of under.definition.fields.filter(({ secret }) => secret))
          expect(JSON.stringify(mark)).not.toContain(String(credentials[name]));
        await registrar.unregister(identity, { data: "delete" }, call());
        expect(await marksOf(identity)).toEqual([]);
      }

      const foreigner = await under.create(`elsewhere-${randomBytes(4).toString("hex")}`);
      const identity = newIdentity();
      const occupied = newIdentity();
      const foreign = await under.occupy(occupied);
      try {
        await foreigner.register(identity, undefined, call());
        expect(await marksOf(identity)).toEqual([]);
        expect(await marksOf(occupied)).toEqual([]);
        expect(await foreigner.marks(call())).toMatchObject([
          { enclave: identity.enclave, name: identity.name },
        ]);
      } finally {
        await foreign.remove();
        await foreigner.unregister(identity, { data: "delete" }, call());
        await foreigner.close();
      }
    });

    test("an object of somebody else is refused and stays as it is", async () => {
      const identity = newIdentity();
      const foreign = await under.occupy(identity);
      try {
        const before = await foreign.fingerprint();
        await expect(registrar.register(identity, undefined, call())).rejects.toBeInstanceOf(Conflict);
        await expect(registrar.rotate(identity, undefined, call())).rejects.toBeInstanceOf(Conflict);
        // What a plan looks at says so before anything is written, in the same words.
        const { refusal } = await registrar.inspect(identity, undefined, call());
        expect(refusal).toBeInstanceOf(Conflict);
        const { message, hint } = refusal ?? {};
        await expect(registrar.register(identity, undefined, call())).rejects.toMatchObject({
          message,
          hint,
        });
        for (const data of ["keep", "delete"] as const) {
          const removal = await registrar.unregister(identity, { data }, call());
          expect(removal.removed).toEqual([]);
        }
        expect(await foreign.fingerprint()).toBe(before);
      } finally {
        await foreign.remove();
      }
    });

    test("an aborted call ends at once with an error", async () => {
      const identity = newIdentity();
      const signal = AbortSignal.abort(new Error("given up"));
      await expect(registrar.register(identity, undefined, { signal })).rejects.toThrow("given up");
      expect(await under.leftovers(identity)).toEqual([]);
    });
  });
}

function call(): Call {
  return { signal: AbortSignal.timeout(45_000) };
}
