import { expect, it } from "vitest";
import { renderFailure } from "../../src/cli/failure.ts";
import { renderDeploy, renderUndeploy } from "../../src/cli/render/deploy.ts";
import { renderEnclaveInfo } from "../../src/cli/render/enclave-info.ts";
import { renderLogs } from "../../src/cli/render/logs.ts";
import { renderRunFailure, renderRunNote } from "../../src/cli/render/run.ts";
import { renderList, renderStatus } from "../../src/cli/render/status.ts";
import {
  deploySchema,
  enclaveInfoSchema,
  listSchema,
  parseResult,
  runSchema,
  statusSchema,
  undeploySchema,
} from "../../src/cli/results.ts";
import { createStyle } from "../../src/cli/style.ts";
import type { ErrorReport } from "../../src/errors.ts";
import type {
  DeployResult,
  EnclaveInfo,
  ListResult,
  RunResult,
  StatusResult,
  UndeployResult,
} from "../../src/pipeline/operations.ts";

const off = createStyle(false);
const now = Date.parse("2026-03-01T12:00:00Z");

const deployed: DeployResult = {
  operation: "00a1b2c3d4e5f607",
  enclave: "local",
  name: "ledger",
  version: "1.2.0",
  dry_run: false,
  revision: 3,
  plan_hash: "0123456789abcdef0123456789abcdef0123456789abcdef",
  changed: true,
  steps: [
    { step: "validate", ms: 4 },
    { step: "register", ms: 1180 },
  ],
  dependencies: [
    {
      dependency: "tentacular-postgres",
      service: "postgres",
      names: { schema: "tn_ledger_ab12", login_role: "tn_ledger_ab12_1" },
      created: ["schema", "login role"],
      repaired: [],
    },
    {
      dependency: "tentacular-nats",
      service: "nats",
      names: { subject: "tentacular.local.ledger.>" },
      created: [],
      repaired: ["the account had no limits"],
    },
  ],
  workflow: "name: ledger\n",
  plan: [
    { action: "create", object: "postgres schema tn_ledger_ab12" },
    { action: "unchanged", object: "Deployment ledger" },
  ],
  objects: [{ kind: "Deployment", name: "ledger", outcome: "unchanged" }],
  workload: { state: "ready", restarts: 0 },
  warnings: [],
  next: "run",
};

const rendering = { style: off, command: "tntc deploy ledger" };

it("prints a deploy with what was provisioned and the next command", () => {
  expect(renderDeploy(parseResult("deploy", deploySchema, deployed), rendering)).toBe(
    [
      "Deployed ledger 1.2.0 to enclave local: revision 3, in 1.2 s",
      "  postgres  provisioned",
      "    schema      tn_ledger_ab12",
      "    login role  tn_ledger_ab12_1",
      "  nats  repaired: the account had no limits",
      "    subject  tentacular.local.ledger.>",
      "",
      "next: tntc run ledger",
    ].join("\n"),
  );
});

it("says of a deploy that what was deployed does not run, and where to look", () => {
  const workload = { state: "failed", reason: "the engine ended 3 times", restarts: 3 };
  expect(renderDeploy(deploySchema().parse({ ...deployed, dependencies: [], workload }), rendering)).toBe(
    [
      "Deployed ledger 1.2.0 to enclave local: revision 3, in 1.2 s; but it does not run:",
      "  the engine ended 3 times",
      "",
      "next: tntc logs ledger",
    ].join("\n"),
  );
});

it("prints a plan as a plan, and the workflow as it would be when asked", () => {
  const plan = deploySchema().parse({ ...deployed, dry_run: true, dependencies: [] });
  expect(renderDeploy(plan, { ...rendering, showWorkflow: true })).toBe(
    [
      "Plan for ledger 1.2.0 to enclave local; nothing was written",
      "  create     postgres schema tn_ledger_ab12",
      "  unchanged  Deployment ledger",
      "",
      "name: ledger",
      "",
      "next: tntc deploy ledger --plan-hash 0123456789abcdef0123456789abcdef0123456789abcdef",
    ].join("\n"),
  );
});

it("prints an undeploy with what is kept and how to delete it", () => {
  const result: UndeployResult = {
    operation: "00a1b2c3d4e5f607",
    enclave: "local",
    name: "ledger",
    force: false,
    steps: [],
    removed: ["Deployment ledger", "Secret ledger-exoskeleton"],
    retained: ["postgres schema tn_ledger_ab12"],
    failed: [],
    next: "",
  };
  expect(renderUndeploy(undeploySchema().parse(result), off)).toBe(
    [
      "Undeployed ledger from enclave local",
      "  removed  Deployment ledger",
      "           Secret ledger-exoskeleton",
      "  kept     postgres schema tn_ledger_ab12",
      "",
      "next: tntc undeploy ledger --force deletes what was kept",
    ].join("\n"),
  );
});

it("prints what an undeploy could not remove", () => {
  const failed = [{ item: "nats account", problem: "the server does not answer" }];
  const text = renderUndeploy(
    { enclave: "local", name: "ledger", force: true, steps: [], removed: [], retained: [], failed },
    off,
  );
  expect(text).toContain("failed   nats account: the server does not answer");
  expect(text).toContain("next: tntc undeploy ledger --force goes on where this stopped");
});

const status: StatusResult = {
  enclave: "local",
  name: "ledger",
  version: "1.2.0",
  revision: 3,
  state: "ready",
  workload: {
    state: "ready",
    restarts: 1,
    startedAt: "2026-03-01T11:59:00Z",
    address: "http://127.0.0.1:4000",
  },
  dependencies: [
    {
      dependency: "tentacular-postgres",
      service: "postgres",
      state: "drift",
      names: { schema: "tn_ledger_ab12" },
      facts: { schema: "tn_ledger_ab12", connection_limit: 20 },
      drift: [{ item: "login role", problem: "may not log in" }],
    },
  ],
  stages: [["take"], ["store", "count"], ["tell"]],
  objects: ["Deployment ledger"],
  events: [
    {
      ...{ warning: true, object: "Pod ledger-5f7c", reason: "BackOff", message: "restarting" },
      ...{ count: 3, at: "2026-03-01T11:58:00Z" },
    },
  ],
  deployedAt: "2026-03-01T11:00:00Z",
  next: "",
};

it("prints one tentacle as an aligned block", () => {
  expect(renderStatus(statusSchema().parse(status), off, Infinity, now)).toBe(
    [
      "ledger  ready",
      "  enclave   local",
      "  version   1.2.0, revision 3, deployed 1 hour ago",
      "  workload  ready, 1 restart, started 1 minute ago, http://127.0.0.1:4000",
      "  postgres  drift  schema tn_ledger_ab12",
      "            connection limit: 20",
      "            drift  login role: may not log in",
      "  stages    take → store + count → tell",
      "  events    BackOff  Pod ledger-5f7c, 2 minutes ago, 3 times: restarting",
      "  objects   Deployment ledger",
    ].join("\n"),
  );
});

it("breaks long values between words, below each other", () => {
  const reason = "the engine ended three times with exit code one";
  const text = renderStatus(
    statusSchema().parse({ ...status, dependencies: [], workload: { ...status.workload, reason } }),
    off,
    40,
    now,
  );
  expect(text).toContain("            the engine ended three times\n            with exit code one\n");
});

it("prints tentacles in columns, and a way on when there are none", () => {
  const list: ListResult = {
    enclave: "local",
    tentacles: [
      {
        name: "ledger",
        version: "1.2.0",
        state: "ready",
        dependencies: ["tentacular-postgres", "tentacular-nats"],
        deployedAt: "2026-02-27T12:00:00Z",
      },
      { name: "hi", version: "1", state: "retained", dependencies: [], deployedAt: "2025-12-24T12:00:00Z" },
    ],
  };
  expect(renderList(listSchema().parse(list), off, now)).toBe(
    [
      "NAME    STATE     VERSION  DEPLOYED    DEPENDENCIES",
      "ledger  ready     1.2.0    2 days ago  postgres, nats",
      "hi      retained  1        2025-12-24  -",
    ].join("\n"),
  );
  expect(renderList({ enclave: "local", tentacles: [] }, off)).toContain("No tentacles in enclave local");
});

it("prints services with their flags and reasons", () => {
  const info: EnclaveInfo = {
    enclave: "local",
    cluster: { kind: "local", available: true },
    enclaves: ["local"],
    exo_services: {
      postgres: {
        enabled: true,
        available: true,
        version: "18.4",
        dependency: "tentacular-postgres",
        summary: "a schema of its own",
        fields: ["host"],
      },
      nats: {
        enabled: true,
        available: false,
        reason: "nothing listens at 127.0.0.1:4222",
        dependency: "tentacular-nats",
        summary: "a subject of its own",
        fields: ["url"],
      },
      spire: {
        enabled: false,
        available: false,
        reason: "not enabled: set TENTACULAR_X",
        dependency: "tentacular-spire",
        summary: "",
        fields: [],
      },
    },
    tentacles: [],
    limits: { yamlKeys: 2000, workflowBytes: 262_144 },
    example: { workflow: "name: first\n", files: { "nodes/main.ts": "export default () => 1;\n" } },
    guide: ["Declare a dependency by its name alone."],
  };
  expect(renderEnclaveInfo(enclaveInfoSchema().parse(info), off)).toBe(
    [
      "Enclave local on local, available",
      "",
      "SERVICE   STATE        VERSION  DECLARE AS",
      "postgres  available    18.4     tentacular-postgres",
      "  a schema of its own",
      "nats      unavailable  -        tentacular-nats",
      "  nothing listens at 127.0.0.1:4222",
      "spire     not enabled  -        tentacular-spire",
      "  set TENTACULAR_X",
      "",
      "No tentacles yet.",
      "",
      "Limits",
      "  yaml keys  2,000",
      "  workflow   256 KiB",
      "",
      "- Declare a dependency by its name alone.",
    ].join("\n"),
  );
});

it("prints a run's failure with its node, and never what could steer a terminal", () => {
  const failed: RunResult = {
    enclave: "local",
    name: "ledger",
    ok: false,
    error: { node: "store", message: "no \u001b[31mroom\u001b]0;title\u0007" },
    durationMs: 31,
    nodes: [
      { node: "take", ok: true, attempts: 1, durationMs: 3 },
      { node: "store", ok: false, attempts: 3, durationMs: 28 },
    ],
  };
  expect(renderRunFailure(runSchema().parse(failed), off)).toBe(
    [
      "error: the run of ledger failed in node store: no room",
      "  ✓  take   3 ms",
      "  ✗  store  28 ms, 3 attempts",
      "hint: `tntc logs ledger` has what its nodes wrote.",
    ].join("\n"),
  );
  const went: RunResult = { enclave: "local", name: "hi", ok: true, result: 1, durationMs: 9, nodes: [] };
  expect(renderRunNote(runSchema().parse(went), off)).toBe("✓ hi ran 0 nodes in 9 ms");
});

it("prints log lines of the engine in columns, others as they are, all harmless", () => {
  const stack =
    "Error: no\n    at default (file:///x/app/nodes/store.ts:3:42)\n    at file:///x/app/engine/engine.mjs:1:2";
  const lines = [
    '{"time":"2026-03-01T12:00:00.123Z","level":"info","node":"store","run":"62","msg":"stored \\u001b[31m5"}',
    "plain \u001b]0;title\u0007text",
    JSON.stringify({
      time: "2026-03-01T12:00:01Z",
      level: "error",
      source: "tentacular",
      msg: "ended",
      stack,
    }),
    '{"level": broken',
  ];
  expect(renderLogs(lines, off)).toBe(
    [
      "2026-03-01 12:00:00  info   store       stored 5  run=62",
      "plain text",
      "2026-03-01 12:00:01  error  tentacular  ended",
      "    at nodes/store.ts:3:42",
      '{"level": broken',
    ].join("\n"),
  );
  expect(renderLogs([], off)).toBe("");
});

const issues = [
  {
    path: "nodes.a.path",
    message: "nodes.a.path leaves the folder of workflow.yaml",
    hint: "Keep it below.",
    line: 7,
    column: 11,
  },
  { path: "edges", message: "edges: a cycle, a -> b -> a", hint: "Remove one of the edges." },
];
const report: ErrorReport = {
  code: "invalid_input",
  message: "nodes.a.path leaves the folder of workflow.yaml (workflow.yaml line 7, column 11); and 1 more",
  hint: "Keep it below.",
  issues,
};

it("prints every issue with its place and fix", async () => {
  expect(await renderFailure(report, "text", off)).toBe(
    [
      "error: 2 problems",
      "  workflow.yaml:7:11  nodes.a.path leaves the folder of workflow.yaml",
      "    hint: Keep it below.",
      "  edges: a cycle, a -> b -> a",
      "    hint: Remove one of the edges.",
      "",
    ].join("\n"),
  );
  expect(JSON.parse(await renderFailure(report, "json", off))).toEqual({ error: report });
});

it("prints a single issue once, with its place and one hint", async () => {
  const single = { ...report, message: "nodes.a.path leaves the folder", issues: issues.slice(0, 1) };
  expect(await renderFailure(single, "text", off)).toBe(
    "error: nodes.a.path leaves the folder\n  workflow.yaml:7:11\nhint: Keep it below.\n",
  );
});

it("colours only where colours are on", async () => {
  expect(await renderFailure(report, "text", createStyle(true))).toContain("\u001b[31merror:");
});

it("names the place in an answer that it does not understand", () => {
  expect(() => parseResult("status", statusSchema, { ...status, revision: "three" })).toThrow(
    "the server's answer to status is not understood (at revision)",
  );
});
