import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Caller } from "../../src/callers/caller.ts";
import { type Identity, readPolicy } from "../../src/callers/policy.ts";
import { InvalidInput } from "../../src/errors.ts";

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-policy-"));
  file = join(folder, "policy.yaml");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function callerOf(text: string, identity: Identity): Promise<Caller> {
  await writeFile(file, text);
  return new Caller("somebody", readPolicy(file).grantsOf(identity));
}

async function refusal(text: string): Promise<InvalidInput> {
  await writeFile(file, text);
  try {
    readPolicy(file);
  } catch (error) {
    if (error instanceof InvalidInput) return error;
    throw error;
  }
  throw new Error("the policy was accepted");
}

const POLICY = `rules:
  - token: ci
    enclaves: [team-a, team-a-*]
    scopes: [deploy]
  - token: ci
    enclaves: [shared]
    scopes: [read]
  - subject: anna
    enclaves: ["*"]
    scopes: [read]
  - claims: { groups: team-b, email_verified: true }
    enclaves: [team-b]
    scopes: [read, destroy]
  - claims: { realm_access.roles: operator }
    enclaves: ["*-x*"]
    scopes: [destroy]
`;

it("adds up the rules that are for a caller, and gives nobody else anything", async () => {
  const ci = await callerOf(POLICY, { token: "ci" });
  expect(ci.may("deploy", "team-a")).toBe(true);
  expect(ci.may("read", "team-a-prod")).toBe(true);
  expect(ci.may("destroy", "team-a")).toBe(false);
  expect(ci.may("read", "shared")).toBe(true);
  expect(ci.may("deploy", "shared")).toBe(false);
  expect(["team-ab", "xteam-a", "team-b", "TEAM-A", "team-a\n"].filter((name) => ci.sees(name))).toEqual([]);
  expect(ci.mayAnywhere("deploy")).toBe(true);
  expect(ci.mayAnywhere("destroy")).toBe(false);
  expect((await callerOf(POLICY, { token: "other" })).known).toBe(false);
  // A token's name is not a subject, nor the other way round.
  expect((await callerOf(POLICY, { token: "anna" })).known).toBe(false);
  expect((await callerOf(POLICY, { subject: "ci", claims: { token: "ci" } })).known).toBe(false);
});

it("matches a subject, and each claim that a rule names, in a list or nested too", async () => {
  const of = (claims: Record<string, unknown>, subject?: string) => callerOf(POLICY, { subject, claims });
  expect((await of({}, "anna")).seesAll).toBe(true);
  expect((await of({ groups: ["x", "team-b"], email_verified: true })).may("destroy", "team-b")).toBe(true);
  expect((await of({ groups: "team-b", email_verified: "true" })).may("deploy", "team-b")).toBe(true);
  const unmatched = [
    { groups: ["team-b"] },
    { groups: "team-b2", email_verified: true },
    { groups: { "team-b": true }, email_verified: true },
    { email_verified: true },
  ];
  for (const claims of unmatched) expect((await of(claims)).known).toBe(false);
  const operator = await of({ realm_access: { roles: ["user", "operator"] } });
  expect(["a-x", "a-xyz", "ax", "-xy"].map((name) => operator.may("destroy", name))).toEqual([
    true,
    true,
    false,
    true,
  ]);
});

it("finds a caller the enclave of a call that names none", async () => {
  const ci = await callerOf(POLICY, { token: "ci" });
  expect(ci.home("shared")).toBe("shared");
  expect(ci.home("team-z")).toBe("team-a");
  const operator = await callerOf(POLICY, { subject: "o", claims: { realm_access: { roles: "operator" } } });
  expect(operator.home("team-z")).toBeUndefined();
});

it("holds a caller to the scope of its access token", async () => {
  const held = (await callerOf(POLICY, { token: "ci" })).heldTo("read");
  expect([held.may("read", "team-a"), held.may("deploy", "team-a")]).toEqual([true, false]);
  expect((await callerOf(POLICY, { token: "ci" })).heldTo("destroy").may("destroy", "team-a")).toBe(false);
});

it("names each mistake with its line and, for an unknown key, the nearest known one", async () => {
  const rule = (more: string) => `rules:\n  - token: ci\n    enclaves: [a]\n    scopes: [read]\n${more}`;
  const inRule = await refusal(rule("    enclave: b\n"));
  expect(inRule.message).toMatch(/policy\.yaml, line 5, column 5: unknown key "enclave"$/);
  expect(inRule.hint).toMatch(/^Did you mean enclaves\?/);
  const atTop = await refusal(rule("roles: []\n"));
  expect(atTop.message).toMatch(/line 5, column 1: unknown key "roles"$/);
  expect(atTop.hint).toMatch(/^Did you mean rules\?/);
  const wrong: readonly (readonly [string, RegExp])[] = [
    [
      "rules:\n  - token: ci\n    enclaves: [a]\n    scopes: [write]\n",
      /line 4.*one of read, deploy, destroy/,
    ],
    ["rules:\n  - token: ci\n    enclaves: [a]\n", /rules\.0\.scopes/],
    ["rules:\n  - token: ci\n    enclaves: []\n    scopes: [read]\n", /line 3.*names no enclave/],
    ["rules:\n  - token: ci\n    enclaves: [A_b]\n    scopes: [read]\n", /line 3.*a name of an enclave/],
    ["rules:\n  - token: ci\n    enclaves: ['a|.*']\n    scopes: [read]\n", /a name of an enclave/],
    ["rules:\n  - enclaves: [a]\n    scopes: [read]\n", /line 2.*is for nobody/],
    ["rules:\n  - { token: a, subject: b, enclaves: [a], scopes: [read] }\n", /at once/],
    ["rules:\n  - { claims: {}, enclaves: [a], scopes: [read] }\n", /is for nobody/],
    ["rules: x\n", /a list of rules/],
    ["", /the file/],
    ["rules: [\n", /line 2/],
  ];
  for (const [text, message] of wrong) expect((await refusal(text)).message).toMatch(message);
});
