import { createAccount, createOperator, createUser, fromPublic, fromSeed } from "@nats-io/nkeys";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createKey,
  deriveKey,
  isSeed,
  isSignedBy,
  keyFromSeed,
  type KeyKind,
} from "../../registrars/nats/keys.ts";

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const kinds: readonly (readonly [KeyKind, typeof createUser])[] = [
  ["O", createOperator],
  ["A", createAccount],
  ["U", createUser],
];

describe.each(kinds)("a key of kind %s", (kind, create) => {
  it("is the library's: same public key, seed, private key and signature", () => {
    for (let round = 0; round < 5; round++) {
      const theirs = create();
      const ours = keyFromSeed(text(theirs.getSeed()), kind);
      const message = new TextEncoder().encode(`message ${round}`);
      expect(ours.getPublicKey()).toBe(theirs.getPublicKey());
      expect(text(ours.getSeed())).toBe(text(theirs.getSeed()));
      expect(text(ours.getPrivateKey())).toBe(text(theirs.getPrivateKey()));
      expect(ours.sign(message)).toEqual(theirs.sign(message));
      expect(ours.verify(message, theirs.sign(message))).toBe(true);
    }
  });

  it("is understood by the library when it is made here", () => {
    const ours = createKey(kind);
    const message = new TextEncoder().encode("message");
    expect(fromSeed(ours.getSeed()).getPublicKey()).toBe(ours.getPublicKey());
    expect(fromPublic(ours.getPublicKey()).verify(message, ours.sign(message))).toBe(true);
  });

  it("is refused with one letter changed", () => {
    const seed = text(createKey(kind).getSeed());
    fc.assert(
      fc.property(
        fc.nat(seed.length - 1),
        fc.constantFrom(...Array.from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")),
        (at, letter) => {
          fc.pre(seed[at] !== letter);
          expect(isSeed(`${seed.slice(0, at)}${letter}${seed.slice(at + 1)}`, kind)).toBe(false);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("keys", () => {
  it("are not taken for keys of another kind", () => {
    expect(isSeed(text(createUser().getSeed()), "U")).toBe(true);
    expect(isSeed(text(createUser().getSeed()), "A")).toBe(false);
    expect(isSeed(createUser().getPublicKey(), "U")).toBe(false);
    for (const seed of ["", "SU", "not a seed", "SO".padEnd(58, "A")]) expect(isSeed(seed, "O")).toBe(false);
  });

  it("are derived alike from the same secret and name, and differ otherwise", () => {
    const derive = (secret: string, name: string): string =>
      deriveKey("A", Buffer.from(secret), name).getPublicKey();
    expect(derive("secret", "one")).toBe(derive("secret", "one"));
    expect(new Set([derive("secret", "one"), derive("secret", "two"), derive("other", "one")]).size).toBe(3);
  });

  it("tell a true signature from a false one", () => {
    const key = createKey("A");
    const signature = key.sign(Buffer.from("yes"));
    expect(isSignedBy(key.getPublicKey(), "yes", signature)).toBe(true);
    expect(isSignedBy(key.getPublicKey(), "no", signature)).toBe(false);
    expect(isSignedBy(createKey("A").getPublicKey(), "yes", signature)).toBe(false);
    expect(isSignedBy("no key", "yes", signature)).toBe(false);
  });

  it("forget their secret when cleared", () => {
    const key = createKey("U");
    const seed = text(key.getSeed());
    key.clear();
    expect(text(key.getSeed())).not.toBe(seed);
  });
});
