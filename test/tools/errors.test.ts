import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { parseDocument } from "yaml";
import * as z from "zod";
import { issueUser } from "../../registrars/nats/claims.ts";
import { createKey } from "../../registrars/nats/keys.ts";
import { connect, type TestClient, type TestResult, testService } from "../support/mcp.ts";
import {
  clearEnclave,
  createTestPlatform,
  ECHO,
  freshName,
  type TestPlatform,
  workflowOf,
} from "../support/platform.ts";

const fixSchema = z.array(
  z.strictObject({
    op: z.enum(["remove", "set"]),
    path: z.array(z.union([z.string(), z.number()])),
    value: z.unknown().optional(),
  }),
);
const issueSchema = z.looseObject({
  path: z.string().min(1),
  message: z.string().min(1),
  hint: z.string().min(1),
  fix: fixSchema.optional(),
});
const codes = ["invalid_input", "not_enabled", "unavailable", "conflict", "internal"] as const;
/** All that a program may find in an error: anything else, such as a stack or a cause, is not for it. */
const errorSchema = z.strictObject({
  code: z.enum(codes),
  message: z.string().min(1),
  hint: z.string().min(1),
  service: z.string().optional(),
  path: z.string().optional(),
  issues: z.array(issueSchema).optional(),
  fix: fixSchema.optional(),
});

interface Case {
  readonly tool: string;
  readonly args: Record<string, unknown>;
  readonly code: (typeof codes)[number];
  /** What the text must name: the object, or the place in the input. */
  readonly where: RegExp;
  /** What its next step must say. */
  readonly next: RegExp;
  /** A program can mend the workflow by what the error gives. */
  readonly mends?: true;
}

const enclave = freshName("errors");
const files = { "nodes/one.ts": ECHO };
const draft = (name: string, dependencies: readonly string[] = [], more = "") => ({
  enclave,
  workflow: more === "" ? workflowOf(name, dependencies) : workflowOf(name).replace("    {}", more),
  files,
});

/** Every way to be wrong that a caller has, and what it must hear. The tentacle `there` is deployed, `gone` undeployed. */
const cases: Readonly<Record<string, Case>> = {
  "an argument that is missing": {
    tool: "run",
    args: { enclave },
    code: "invalid_input",
    where: /\bname\b.* is missing/,
    next: /call run again/,
  },
  "an argument that there is not": {
    tool: "status",
    args: { enclave, nmae: "there" },
    code: "invalid_input",
    where: /\bnmae\b/,
    next: /call status again/,
  },
  "no draft at all": {
    tool: "deploy",
    args: { enclave },
    code: "invalid_input",
    where: /deploy needs workflow and files\n/,
    next: /Pass the text of workflow\.yaml/,
  },
  "one operation of no tentacle": {
    tool: "status",
    args: { enclave, operation: "00a1b2c3d4e5f607" },
    code: "invalid_input",
    where: /At: name/,
    next: /with name and operation/,
  },
  "the history of no tentacle": {
    tool: "status",
    args: { enclave, history: true },
    code: "invalid_input",
    where: /At: name/,
    next: /with name and history/,
  },
  "the orphans of one tentacle": {
    tool: "status",
    args: { enclave, name: "there", orphans: true },
    code: "invalid_input",
    where: /At: orphans/,
    next: /Leave out name/,
  },
  "a folder that cannot be read": {
    tool: "deploy",
    args: { enclave, directory: "relative/path" },
    code: "invalid_input",
    where: /"relative\/path"/,
    next: /absolute path/,
  },
  "no YAML": {
    tool: "deploy",
    args: { enclave, workflow: "name: a\n\tnodes: {}\n", files },
    code: "invalid_input",
    where: /workflow\.yaml \(line 2, column 1\): /,
    next: /spaces/,
  },
  "an empty workflow": {
    tool: "deploy",
    args: { enclave, workflow: "", files },
    code: "invalid_input",
    where: /workflow\.yaml is empty/,
    next: /Begin with `name: my-tentacle`/,
  },
  "a name that may not be": {
    tool: "deploy",
    args: draft("My Tentacle"),
    code: "invalid_input",
    where: /name "My Tentacle".*line 1, column 7/,
    next: /name: my-tentacle/,
    mends: true,
  },
  "a node without its file": {
    tool: "deploy",
    args: { ...draft("draft"), files: { "nodes/on.ts": ECHO } },
    code: "invalid_input",
    where: /nodes\.one\.path/,
    next: /Did you mean nodes\/on\.ts/,
    mends: true,
  },
  "an edge to nowhere, and a circle": {
    tool: "deploy",
    args: {
      ...draft("draft"),
      workflow: workflowOf("draft")
        .replace("nodes:", "nodes:\n  other: { path: nodes/one.ts }")
        .replace("edges: []", "edges: [{from: one, to: othr}, {from: one, to: one}]"),
    },
    code: "invalid_input",
    where: /edges\[0\]\.to.*line \d+/,
    next: /Did you mean other/,
    mends: true,
  },
  "a managed dependency that is misspelt": {
    tool: "deploy",
    args: draft("draft", ["tentacular-postgers"]),
    code: "invalid_input",
    where: /contract\.dependencies\.tentacular-postgers/,
    next: /Did you mean tentacular-postgres/,
    mends: true,
  },
  "a managed dependency with a host by hand": {
    tool: "deploy",
    args: draft("draft", [], "    tentacular-postgres: { host: pg }"),
    code: "invalid_input",
    where: /contract\.dependencies\.tentacular-postgres\.host.*line \d+/,
    next: /Remove host/,
    mends: true,
  },
  "a host that is a URL": {
    tool: "deploy",
    args: draft("draft", [], "    api: { protocol: https, host: https://api.example.com/v1 }"),
    code: "invalid_input",
    where: /contract\.dependencies\.api\.host/,
    next: /one host name/,
    mends: true,
  },
  "a secret that nobody set": {
    tool: "deploy",
    args: draft(
      "draft",
      [],
      "    api: { protocol: https, host: h, auth: { type: bearer-token, secret: api.token } }",
    ),
    code: "invalid_input",
    where: /api\.token/,
    next: /tntc secrets set draft api\.token/,
  },
  "a service that is not enabled": {
    tool: "deploy",
    args: draft("draft", ["tentacular-rustfs"]),
    code: "not_enabled",
    where: /rustfs/,
    next: /Remove tentacular-rustfs from the contract, or ask the operator/,
    mends: true,
  },
  "a service that is down": {
    tool: "deploy",
    args: draft("draft", ["tentacular-nats"]),
    code: "unavailable",
    where: /exoskeleton: nats unavailable/,
    next: /TENTACULAR_NATS_URL|repeat what you did/,
  },
  "an enclave that may not be": {
    tool: "status",
    args: { enclave: "Not_An_Enclave" },
    code: "invalid_input",
    where: /"Not_An_Enclave"/,
    next: /Choose another/,
  },
  "a tentacle that there is not": {
    tool: "run",
    args: { enclave, name: "theer" },
    code: "invalid_input",
    where: /theer/,
    next: /Did you mean there\?/,
  },
  "a tentacle of which only data is left": {
    tool: "run",
    args: { enclave, name: "gone" },
    code: "invalid_input",
    where: /gone is not deployed/,
    next: /Call deploy/,
  },
  "an operation that there is not": {
    tool: "status",
    args: { enclave, name: "there", operation: "nonsense" },
    code: "invalid_input",
    where: /there/,
    next: /Call status with name: "there"/,
  },
  "credentials that there are not": {
    tool: "rotate",
    args: { enclave, name: "there", dependency: "tentacular-nats" },
    code: "invalid_input",
    where: /"tentacular-nats"/,
    next: /tentacular-postgres/,
  },
  "a force that does not repeat the name": {
    tool: "undeploy",
    args: { enclave, name: "there", force: "yes" },
    code: "invalid_input",
    where: /there/,
    next: /force: "there"/,
  },
  "an orphan that is none": {
    tool: "undeploy",
    args: { enclave, name: "there", force: "there", orphan: true },
    code: "conflict",
    where: /there is no orphan/,
    next: /Call status with name: "there"/,
  },
  "an enclave that is not empty": {
    tool: "enclave",
    args: { action: "deprovision", enclave },
    code: "conflict",
    where: /there/,
    next: /Undeploy each with force; or, for all at once, call enclave with action: "deprovision"/,
  },
  "a quota that is none": {
    tool: "enclave",
    args: { action: "provision", enclave, quota: { disk: "1Gi" } },
    code: "invalid_input",
    where: /quota/,
    next: /pods, cpu and memory/,
  },
  "logs of a tentacle that there is not": {
    tool: "logs",
    args: { enclave, name: "nobody" },
    code: "invalid_input",
    where: /nobody/,
    next: /Call status to list them/,
  },
};

describe("an error of a tool", () => {
  let platform: TestPlatform;
  let client: TestClient;
  let silent: Server;

  beforeAll(async () => {
    // A port that takes connections and says nothing is as good as a service that is down.
    silent = createServer((socket) => socket.destroy());
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const address = silent.address();
    const { creds } = await issueUser("system", createKey("A").getPublicKey(), {});
    platform = await createTestPlatform(inject("services"), ["postgres"], {
      TENTACULAR_NATS_OPERATOR_SIGNING_KEY: new TextDecoder().decode(createKey("O").getSeed()),
      TENTACULAR_NATS_SYSTEM_CREDS: creds,
      TENTACULAR_NATS_URL: `nats://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    });
    client = await connect({
      kind: "memory",
      service: testService({ host: async () => ({ operations: platform.operations }) }),
    });
    for (const name of ["there", "gone"]) {
      const made = await client.call("deploy", draft(name, ["tentacular-postgres"]));
      expect(made.isError, made.text).toBe(false);
    }
    const undeployed = await client.call("undeploy", { enclave, name: "gone" });
    expect(undeployed.isError, undeployed.text).toBe(false);
  });
  afterAll(async () => {
    await client.close();
    await clearEnclave(platform, enclave);
    await platform.close();
    silent.close();
  });

  /** What holds for every error: its text says all that a program is given, stands alone, and shows nothing of the inside. */
  function checked(tool: string, { isError, text, structured }: TestResult) {
    expect(isError, text).toBe(true);
    const error = errorSchema.parse(structured);
    const lines = text.split("\n");
    expect(lines[0]).toBe(`${tool} failed (${error.code}): ${error.message}`);
    expect(lines.at(-1)).toBe(`Next: ${error.hint}`);
    for (const { path, hint } of error.issues ?? []) {
      expect(text).toContain(path);
      expect(text).toContain(hint);
    }
    expect(text).not.toMatch(/\bat .*\(?(?:file:|node:|\/)\S+:\d+:\d+|node_modules|undefined|\[object/);
    expect(text.length).toBeLessThan(2_500);
    return error;
  }

  it.each(Object.entries(cases))("about %s says what, where and the next step", async (_title, one) => {
    const result = await client.call(one.tool, one.args);
    const error = checked(one.tool, result);
    expect(error.code).toBe(one.code);
    expect(result.text).toMatch(one.where);
    expect([error.hint, ...(error.issues ?? []).map(({ hint }) => hint)].join("\n")).toMatch(one.next);
    const issues = error.issues ?? [];
    const fixes = issues.length > 0 ? issues.flatMap(({ fix = [] }) => fix) : (error.fix ?? []);
    expect(fixes.length > 0).toBe(one.mends === true);
    if (one.mends === undefined) return;
    const document = parseDocument(String(one.args.workflow));
    for (const { op, path, value } of fixes)
      if (op === "remove") document.deleteIn(path);
      else document.setIn(path, value);
    const again = await client.call(one.tool, { ...one.args, workflow: document.toString(), dry_run: true });
    expect(again.isError, again.text).toBe(false);
  });

  it("says what is wrong once where one thing is, and where", async () => {
    const { text } = await client.call("deploy", draft("circle", ["tentacular-natz"]));
    expect(text).toBe(
      [
        "deploy failed (invalid_input): contract.dependencies.tentacular-natz: there is no managed dependency of that name",
        "At: contract.dependencies.tentacular-natz",
        "Next: Did you mean tentacular-nats? Managed dependencies are: tentacular-postgres, tentacular-nats, tentacular-rustfs, tentacular-spire. Any other dependency needs a name without tentacular-.",
      ].join("\n"),
    );
  });

  it("that nobody foresaw says where its cause is, and not what it is", async () => {
    const broken = await connect({
      kind: "memory",
      service: testService({ host: () => Promise.reject(new TypeError("x is not a function")) }),
    });
    const result = await broken.call("status");
    await broken.close();
    const error = checked("status", result);
    expect(error.code).toBe("internal");
    expect(error.hint).toMatch(/server's log \(stderr\)/);
    expect(result.text).not.toContain("x is not a function");
  });

  it("of every kind is among these", () => {
    const met = new Set([...Object.values(cases).map(({ code }) => code), "internal"]);
    expect([...met].sort()).toEqual([...codes].sort());
  });
});
