import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidInput } from "../../src/errors.ts";
import { boundedName, createIdentity } from "../../src/tentacle/identity.ts";

const label = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/);

describe("identity", () => {
  test("is the same for the same pair", () => {
    expect(createIdentity("team-a", "hello")).toEqual(createIdentity("team-a", "hello"));
  });

  test("fault 3: differs for every two of 100,000 pairs, truncated names included", () => {
    const seen = new Map<string, string>();
    const remember = (enclave: string, name: string): void => {
      const identity = createIdentity(enclave, name);
      for (const bounded of [
        boundedName(identity, { prefix: "tn", separator: "_", maxLength: 55 }),
        boundedName(identity, { prefix: "tn", separator: "-", maxLength: 24 }),
      ]) {
        const owner = seen.get(bounded);
        if (owner !== undefined && owner !== identity.key)
          throw new Error(`${owner} and ${identity.key} share ${bounded}`);
        seen.set(bounded, identity.key);
      }
    };
    fc.assert(fc.property(label, label, remember), { numRuns: 100_000 });
    // Pairs made to collide: the same letters split at different places, and names that agree for 60 characters.
    const letters = "a-b-c-d-e-f-g-h-i-j-k-l-m-n-o-p-q-r-s-t-u-v-w-x-y-z";
    for (let index = 1; index < letters.length - 1; index += 1) {
      const [left, right] = [letters.slice(0, index), letters.slice(index)];
      if (!left.endsWith("-") && !right.startsWith("-")) remember(left, right);
    }
    for (let index = 0; index < 50_000; index += 1) remember("e".repeat(40), `${"x".repeat(50)}-${index}`);
    expect(new Set(seen.values()).size).toBeGreaterThanOrEqual(100_000);
  });

  test.each([
    "a.b",
    "A",
    "",
    "-a",
    "a-",
    "а",
    'x"; DROP ROLE y; --',
    "a\0",
    "a\n",
    "a/b",
    "a_b",
    ">",
    "*",
    "x".repeat(64),
  ])("refuses %j and says which field", (name) => {
    expect(() => createIdentity("team", name)).toThrow(InvalidInput);
    expect(() => createIdentity(name, "hello")).toThrow(/^enclave /);
  });
});
