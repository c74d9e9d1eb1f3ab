import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRedactor, type Redactor } from "../src/redact.ts";

const secret = "s3cr&t/with+odd=chars 'and' Ünïcode";

it("takes a secret out of text in every form it travels in", () => {
  const redactor = createRedactor();
  redactor.add(secret);
  for (const form of [
    secret,
    encodeURIComponent(secret),
    new URLSearchParams({ password: secret }).toString(),
    JSON.stringify({ secret }),
    JSON.stringify(JSON.stringify({ secret })).slice(1, -1),
    Buffer.from(secret).toString("base64"),
    Buffer.from(secret).toString("base64url"),
    Buffer.from(`user:${secret}`).toString("base64"),
    Buffer.from(JSON.stringify({ secret, more: 1 })).toString("base64"),
    `postgres://user:${encodeURIComponent(secret)}@host/db`,
  ])
    expect(redactor.text(`before ${form} after`)).toMatch(/\[redacted\]/);
});

it("takes it out of JSON inside JSON, as a log line in a result is", () => {
  const quoted = 'a "quoted" \\ secret';
  const redactor = createRedactor();
  redactor.add(quoted);
  for (let text = quoted, level = 0; level < 4; level++) {
    text = JSON.stringify(text);
    expect(redactor.text(text)).toBe(text.replace(/a .* secret/, "[redacted]"));
  }
});

it("leaves other text alone", () => {
  const redactor = createRedactor();
  redactor.add(secret);
  redactor.add("short");
  const text = "a short text of no interest, c2VjcmV0";
  expect(redactor.text(text)).toBe(text);
});

it("finds a secret wherever it stands inside base64", () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 8, maxLength: 40, unit: "binary" }),
      fc.string({ maxLength: 9 }),
      fc.string({ maxLength: 9 }),
      (value, before, after) => {
        const redactor = createRedactor();
        redactor.add(value);
        for (const encoding of ["base64", "base64url"] as const)
          expect(redactor.text(Buffer.from(before + value + after).toString(encoding))).toContain(
            "[redacted]",
          );
      },
    ),
    { numRuns: 2_000 },
  );
});

it("walks values, and keeps what is no secret as it is", () => {
  const redactor = createRedactor();
  redactor.add({ user: "app_user_1", nested: ["another-secret"] });
  const value = { a: [1, true, null, "x app_user_1 y"], "another-secret": { deep: "another-secret" } };
  expect(redactor.json(value)).toEqual({
    a: [1, true, null, "x [redacted] y"],
    "[redacted]": { deep: "[redacted]" },
  });
});

it("keeps a key named __proto__ a key", () => {
  const redactor = createRedactor();
  const value: unknown = JSON.parse('{"__proto__":{"polluted":1}}');
  expect(JSON.stringify(redactor.json(value))).toBe('{"__proto__":{"polluted":1}}');
});

it("knows each long line of a secret of many lines", () => {
  const redactor = createRedactor();
  redactor.add("-----BEGIN-----\nSUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4\n-----END-----");
  expect(redactor.text("seed SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4")).toBe(
    "seed [redacted]",
  );
});

it("lends what it knows to an extension, and keeps nothing of what that learns", () => {
  const parent = createRedactor();
  const child = parent.extend();
  parent.add("known to the parent");
  child.add("known to the child");
  expect(child.text("known to the parent, known to the child")).toBe("[redacted], [redacted]");
  expect(parent.text("known to the child")).toBe("known to the child");
});

describe("secrets that are learned", () => {
  const hasAll = (known: Redactor, secrets: readonly string[]) =>
    secrets.map((one) => {
      const shown = known.text(`${one} ${Buffer.from(one).toString("base64")}`);
      return shown.split("[redacted]").length === 3;
    });
  const secretOf = (index: number) => `secret-number-${String(index).padStart(6, "0")}`;

  it("are known as those that are added, the last of them however many there were", () => {
    const redactor = createRedactor({ capacity: 10_000 });
    redactor.add("of-the-settings");
    for (let index = 0; index < 1_000; index++) redactor.learn({ password: secretOf(index) });
    expect(hasAll(redactor, ["of-the-settings", secretOf(999), secretOf(980)])).toEqual([true, true, true]);
    expect(redactor.text(secretOf(0))).toBe(secretOf(0));
  });

  it("stay known while they are learned again", () => {
    const redactor = createRedactor({ capacity: 10_000 });
    for (let index = 0; index < 1_000; index++) {
      redactor.learn("the-one-in-use");
      redactor.learn(secretOf(index));
    }
    expect(hasAll(redactor, ["the-one-in-use", secretOf(999)])).toEqual([true, true]);
  });

  it("go without what others have, too", () => {
    const redactor = createRedactor({ capacity: 10_000 });
    const line = "a line that all of them have";
    redactor.add(`${line}\n${secretOf(0)}-and-more`);
    redactor.learn(`${line}\n${secretOf(1)}-and-more`);
    for (let index = 2; index < 1_000; index++) redactor.learn(secretOf(index));
    expect(hasAll(redactor, [line, `${secretOf(0)}-and-more`])).toEqual([true, true]);
    expect(redactor.text(`${secretOf(1)}-and-more`)).toBe(`${secretOf(1)}-and-more`);
  });
});
