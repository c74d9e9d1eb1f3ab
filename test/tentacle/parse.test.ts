import { describe, expect, test } from "vitest";
import { parseDocument } from "yaml";
import { InvalidInput, type Issue } from "../../src/errors.ts";
import { stagesOf } from "../../src/tentacle/graph.ts";
import { checkManaged, parseEnriched, parseWorkflow } from "../../src/tentacle/parse.ts";

const base = `name: hello
version: 1.10
nodes:
  a: { path: ./nodes/a.ts, description: first }
`;

/** All problems of a text that must be refused. */
function issuesOf(text: string): readonly Issue[] {
  try {
    parseWorkflow(text);
  } catch (error) {
    if (error instanceof InvalidInput) return error.issues;
    throw error;
  }
  throw new Error("the text was accepted");
}

/** The one problem at `path`. */
function issueAt(text: string, path: string): Issue {
  const found = issuesOf(text).filter((issue) => issue.path === path);
  expect(found, JSON.stringify(issuesOf(text))).toHaveLength(1);
  const [issue] = found;
  if (issue === undefined) throw new Error("unreachable");
  return issue;
}

function dependencies(lines: string): string {
  return `${base}contract:\n  version: "1"\n  dependencies:\n${lines}`;
}

describe("a workflow as an author writes it", () => {
  test("is read whole, texts as written", () => {
    const { tentacle, warnings } = parseWorkflow(`
name: event-ledger
version: 1.10
description: Stores events
metadata: { group: demo, environment: dev, tags: [a, 2], owner: me }
triggers:
  - type: manual
  - { type: cron, schedule: "0 9 * * *", name: daily, timezone: Europe/Berlin }
  - { type: queue, subject: orders.*.created }
  - { type: webhook, path: /hooks/github, provider: github, secret: github.webhook, event: pull_request, actions: opened }
nodes:
  fetch: { path: ./nodes/fetch.ts, description: gets, capabilities: [net] }
  store: { path: nodes/../nodes/store.ts, description: keeps, capabilities: { net: github.com } }
edges: { from: fetch, to: store }
config: { timeout: 2m, retries: 1, region: eu, answer: 1e3 }
deployment: { namespace: team-a }
sidecars: [{ name: pandoc, image: "pandoc/core:3.6", port: 3030, healthPath: /version }]
contract:
  version: 1
  dependencies:
    tentacular-nats:
    tentacular-postgres: { protocol: postgresql }
    github: { protocol: https, host: api.github.com, auth: { type: bearer-token, secret: github.token }, channels: [x] }
    scan: { type: dynamic-target, cidr: 10.0.0.0/8, dynPorts: ["443/TCP", 53/udp, 80] }
    "db": { protocol: jsr, host: "@db/postgres", version: 0.19.5 }
  networkPolicy: { additionalEgress: [] }
`);
    expect(warnings.map((warning) => warning.path)).toEqual([]);
    expect(tentacle).toEqual({
      name: "event-ledger",
      version: "1.10",
      description: "Stores events",
      metadata: { group: "demo", environment: "dev", tags: ["a", "2"] },
      triggers: [
        { type: "manual" },
        { type: "cron", schedule: "0 9 * * *", name: "daily", timezone: "Europe/Berlin" },
        { type: "queue", subject: "orders.*.created" },
        {
          type: "webhook",
          path: "/hooks/github",
          provider: "github",
          secret: { service: "github", key: "webhook" },
          event: "pull_request",
          actions: ["opened"],
        },
      ],
      nodes: {
        fetch: { path: "nodes/fetch.ts", description: "gets", capabilities: ["net"] },
        store: { path: "nodes/store.ts", description: "keeps", capabilities: ["net:github.com"] },
      },
      edges: [{ from: "fetch", to: "store" }],
      config: {
        timeoutMs: 120_000,
        retries: 1,
        values: { timeout: "2m", retries: 1, region: "eu", answer: 1000 },
      },
      enclave: "team-a",
      sidecars: [{ name: "pandoc", image: "pandoc/core:3.6", port: 3030, extra: { healthPath: "/version" } }],
      contract: {
        version: "1",
        dependencies: {
          "tentacular-nats": { kind: "managed", name: "tentacular-nats" },
          "tentacular-postgres": { kind: "managed", name: "tentacular-postgres", protocol: "postgresql" },
          github: {
            kind: "host",
            name: "github",
            protocol: "https",
            host: "api.github.com",
            port: 443,
            auth: { type: "bearer-token", secret: { service: "github", key: "token" } },
            extra: { channels: ["x"] },
          },
          scan: {
            kind: "dynamic-target",
            name: "scan",
            cidr: "10.0.0.0/8",
            ports: [
              { port: 443, protocol: "TCP" },
              { port: 53, protocol: "UDP" },
              { port: 80, protocol: "TCP" },
            ],
            extra: {},
          },
          db: { kind: "module", name: "db", protocol: "jsr", package: "@db/postgres", version: "0.19.5" },
        },
        networkPolicy: { additionalEgress: [] },
        extensions: {},
      },
      extra: { metadata: { owner: "me" } },
    });
  });

  test("needs only a name, a version and a node; empty sections are none", () => {
    const { tentacle } = parseWorkflow(
      `${base}triggers:\nedges: ~\nconfig:\ncontract:\nmetadata:\nsidecars: []\n`,
    );
    expect(tentacle.contract.dependencies).toEqual({});
    expect(tentacle.config).toEqual({ timeoutMs: 30_000, retries: 0, values: {} });
    expect(tentacle).toMatchObject({ triggers: [], edges: [], sidecars: [], metadata: { tags: [] } });
  });

  test("keeps what nobody foresaw, and warns with the nearest known key", () => {
    const { tentacle, warnings } = parseWorkflow(`${base}descripton: typo\nfuture: { a: [1] }\n`);
    expect(tentacle.extra).toEqual({ descripton: "typo", future: { a: [1] } });
    expect(warnings).toMatchObject([
      { path: "descripton", line: 5, hint: "Did you mean description?" },
      { path: "future", line: 6 },
    ]);
  });

  test.each(["Europe/Berlin", "UTC"])("takes the time zone %s", (timezone) => {
    const text = `${base}triggers: [{ type: cron, schedule: "*/5 * * * *", timezone: ${timezone} }]\n`;
    expect(parseWorkflow(text).tentacle.triggers).toMatchObject([{ timezone }]);
  });
});

describe("problems", () => {
  test("are all listed at once, in order, each with its place and what to write", () => {
    const issues = issuesOf(`version: [1]
nodes:
  a: { path: ../../etc/passwd }
  b: { pth: x }
edges:
  - { from: a, to: bb }
triggers:
  - type: crn
config: { timeout: soon, retries: 99 }
contract:
  version: 2
  dependencies:
    tentacular-postgres:
      host: db.internal
`);
    expect(issues.map((issue) => [issue.path, issue.line, issue.column])).toEqual([
      ["name", 1, 1],
      ["version", 1, 1],
      ["nodes.a.path", 3, 14],
      ["nodes.b.path", 4, 3],
      ["edges[0].to", 6, 20],
      ["triggers[0].type", 8, 11],
      ["config.timeout", 9, 20],
      ["config.retries", 9, 35],
      ["contract.version", 11, 12],
      ["contract.dependencies.tentacular-postgres.host", 14, 13],
    ]);
    for (const issue of issues) expect(issue.hint.length).toBeGreaterThan(10);
  });

  test("the error's own message is the first problem", () => {
    const text = `name: A\nversion: 1\nnodes: { a: { path: a.ts } }\n`;
    expect(() => parseWorkflow(text)).toThrow(/^name "A" must be a DNS-1123 label.*line 1, column 7/);
  });

  test.each([
    ['x"; DROP ROLE y; --', "name"],
    ["a.b", "name"],
    ["1a", "name"],
    ["а", "name"],
    ["a".repeat(64), "name"],
    ["a".repeat(10_000), "name"],
  ])("faults 1, 2: name %.20s is refused", (name, path) => {
    expect(issueAt(base.replace("hello", JSON.stringify(name)), path).line).toBe(1);
  });

  test("a cycle is printed as a path", () => {
    const text = `${base}  b: { path: b.ts }\n  c: { path: c.ts }\nedges:\n  - { from: a, to: b }\n  - { from: b, to: c }\n  - { from: c, to: b }\n`;
    const circle = issueAt(text, "edges[2]");
    expect(circle.message).toMatch(/circle: (b -> c -> b|c -> b -> c)$/);
    expect(circle.fix).toEqual([{ op: "remove", path: ["edges", 2] }]);
    expect(issueAt(`${base}edges: [{ from: a, to: a }]`, "edges[0]").message).toMatch(/a -> a$/);
  });

  test.each([
    ["contract.version", `${base}contract: { version: "9", dependencies: {} }\n`],
    ["contract.dependencies.tentacular-postgres", dependencies("    tentacular-postgres: yes please\n")],
    [
      "triggers[0]",
      `${dependencies("    {}\n")}triggers: [{ name: orders, type: queue, subject: orders.created }]\n`,
    ],
    [
      "contract.dependencies.tentacular-postgres.protocol",
      dependencies("    tentacular-postgres: { protocol: }\n"),
    ],
    ["contract.dependencies.tentacular-nats.url", dependencies("    tentacular-nats: { url: nats://x }\n")],
    ["name", base.replace("hello", "Hello World!")],
    ["name", base.replace("hello", "2nd_Straße")],
    ["edges[0].to", `${base}  store: { path: b.ts }\nedges: [{ from: a, to: stroe }]\n`],
    ["triggers[0].type", `${base}triggers: [{ type: manul }]\n`],
    [
      "triggers[0].timezone",
      `${base}triggers: [{ type: cron, schedule: "0 9 * * *", timezone: Europe/Berln }]\n`,
    ],
    ["config.retries", `${base}config: { retries: "2" }\n`],
    ["contract.dependencies.api.port", dependencies('    api: { protocol: x, host: h, port: "8443" }\n')],
    ["contract.dependencies.api.protocol", dependencies("    api: { protocol: HTTPS, host: h }\n")],
    [
      "contract.dependencies.api.host",
      dependencies("    api: { protocol: https, host: https://api.example.com/v1 }\n"),
    ],
    [
      "contract.dependencies.api.host",
      dependencies("    api: { protocol: x, host: api.example.com:8443, port: 1 }\n"),
    ],
  ])("the fix of a problem at %s, carried out, mends it", (path, text) => {
    const document = parseDocument(text);
    const { fix = [] } = issueAt(text, path);
    expect(fix.length).toBeGreaterThan(0);
    for (const change of fix)
      if (change.op === "remove") document.deleteIn(change.path);
      else document.setIn(change.path, change.value);
    expect(() => parseWorkflow(document.toString())).not.toThrow();
  });

  test.each([
    ["name", base.replace("hello", "'!!!'")],
    ["edges[0].to", `${base}edges: [{ from: a, to: something-else }]\n`],
    ["contract.dependencies.api.host", dependencies("    api: { protocol: https, host: '*.example.com' }\n")],
    ["config.retries", `${base}config: { retries: often }\n`],
    ["config.retries", `${base}config: { retries: "200" }\n`],
  ])("a problem at %s that only the author can mend has no fix", (path, text) => {
    expect(issueAt(text, path).fix).toBeUndefined();
  });

  test("the fix of a host with a port writes both", () => {
    const text = dependencies("    api: { protocol: https, host: https://api.example.com:8443/v1?a=b }\n");
    const at = ["contract", "dependencies", "api"];
    expect(issueAt(text, "contract.dependencies.api.host").fix).toEqual([
      { op: "set", path: [...at, "host"], value: "api.example.com" },
      { op: "set", path: [...at, "port"], value: 8443 },
    ]);
  });

  test.each(["host", "port", "auth", "user", "database", "secret", "password", "bucket"])(
    "fault 13: %s on a managed dependency is refused by its path",
    (key) => {
      const issue = issueAt(
        dependencies(`    tentacular-postgres: { ${key}: hunter2 }\n`),
        `contract.dependencies.tentacular-postgres.${key}`,
      );
      expect(issue.hint).toContain(`Remove ${key}`);
      expect(JSON.stringify(issue)).not.toContain("hunter2");
    },
  );

  test.each([
    ["empty:", "contract.dependencies.empty"],
    ["list: [1]", "contract.dependencies.list"],
    ["scalar: api.github.com", "contract.dependencies.scalar"],
    ["tentacular-postgres: [1]", "contract.dependencies.tentacular-postgres"],
    ["tentacular-postgres: yes please", "contract.dependencies.tentacular-postgres"],
    ["tentacular-postgres: &x", "contract.dependencies.tentacular-postgres"],
    ["tentacular-postgres: !!null", "contract.dependencies.tentacular-postgres"],
    ["web: { protocol: https }", "contract.dependencies.web.host"],
    ["web: { protocol: odd, host: a }", "contract.dependencies.web.port"],
    [
      "web: { protocol: https, host: a, auth: { type: x, secret: plain } }",
      "contract.dependencies.web.auth.secret",
    ],
    [
      "web: { protocol: https, host: a, auth: { type: x, secret: tentacular-nats.creds } }",
      "contract.dependencies.web.auth.secret",
    ],
    ["scan: { type: dynamic-target, cidr: 10.0.0.0, dynPorts: [1] }", "contract.dependencies.scan.cidr"],
    [
      "scan: { type: dynamic-target, cidr: 10.0.0.0/8, dynPorts: [0] }",
      "contract.dependencies.scan.dynPorts",
    ],
    ["mod: { protocol: npm, host: ../x, version: 1.0.0 }", "contract.dependencies.mod.host"],
    ['mod: { protocol: npm, host: x, version: "1 || 2" }', "contract.dependencies.mod.version"],
  ])("dependency %s is refused", (line, path) => {
    expect(issueAt(dependencies(`    ${line}\n`), path).line).toBe(8);
  });

  test("a secret in the wrong place is not repeated", () => {
    const text = dependencies(
      `    web: { protocol: https, host: a, auth: hunter2 }\n    x: { protocol: https, host: a, auth: { type: t, secret: hunter2 } }\n`,
    );
    expect(JSON.stringify(issuesOf(text))).not.toContain("hunter2");
  });

  test.each([
    "a,b",
    "a b",
    "*.example.com",
    "*",
    "https://example.com",
    "example.com/path",
    "example.com:443",
    "a,--allow-all",
    "127.1",
    "0x7f.1",
    "1.2.3.4.5",
    "-a.example",
    "fe80::1%eth0",
    "exämple.com",
    "a..b",
    "",
  ])("host %j is refused", (host) => {
    const text = dependencies(`    web: { protocol: https, host: ${JSON.stringify(host)} }\n`);
    expect(issueAt(text, "contract.dependencies.web.host").line).toBe(8);
  });

  test.each([
    "../../etc/passwd",
    "/etc/passwd",
    "..\\\\x.ts",
    "nodes\\\\..\\\\..\\\\x.ts",
    "%2e%2e/x.ts",
    "nodes/%2e%2e/x.ts",
    "C:/x.ts",
    "x\\0.ts",
    ".hidden/x.ts",
    "workflow.yaml",
    "engine/engine.mjs",
    "secrets/x.ts",
    "nodes/x.sh",
    "nodes/\\u0430.ts",
  ])("node path %s is refused", (path) => {
    const text = `name: hello\nversion: 1\nnodes:\n  a: { path: "${path}" }\n`;
    expect(issuesOf(text)[0]).toMatchObject({ line: 4 });
  });

  test.each([
    ["{ type: cron, schedule: 99 9 * * * }", "schedule"],
    ["{ type: cron, schedule: 0 0 30 2 * }", "schedule"],
    ["{ type: cron, schedule: 2030-01-01T00:00:00 }", "schedule"],
    ["{ type: cron }", "schedule"],
    ['{ type: cron, schedule: "* * * * *", timezone: Mars/Base }', "timezone"],
    ["{ type: queue, subject: a.>.b }", "subject"],
    ["{ type: queue, subject: a..b }", "subject"],
    ["{ type: queue, subject: a b }", "subject"],
    ["{ type: queue, subject: a*.b }", "subject"],
    ["{ type: queue, subject: tentacular.other.name.x }", "subject"],
    ["{ type: queue, subject: tentacular.*.hello.x }", "subject"],
    ["{ type: queue, subject: tentacular.> }", "subject"],
    ["{ type: webhook, path: hooks }", "path"],
    ["{ type: webhook, path: /run }", "path"],
    ["{ type: webhook, path: /a/../b }", "path"],
    ['{ type: webhook, path: "/a?b" }', "path"],
    ["{ type: webhook, path: /a, provider: gitlab }", "provider"],
    ["{ type: webhook, path: /a, secret: plain }", "secret"],
    ["{ type: webhook, path: /a, secret: tentacular-nats.creds }", "secret"],
    ["{ type: webhook, path: /a, event: push }", "event"],
    ["{ type: webhook, path: /a, actions: [opened] }", "actions"],
  ])("trigger %s is refused at %s", (trigger, key) => {
    const text = `${base}triggers: [${trigger}]\ncontract: { version: "1", dependencies: { tentacular-nats: } }\n`;
    expect(issuesOf(text).map((issue) => issue.path)).toEqual([`triggers[0].${key}`]);
  });

  test("a webhook without a secret is warned about", () => {
    const { warnings } = parseWorkflow(`${base}triggers: [{ type: webhook, path: /hooks/open }]\n`);
    expect(warnings).toMatchObject([
      { path: "triggers[0]", message: "anybody who reaches /hooks/open can start runs" },
    ]);
  });

  test.each([8080, 8081])("a sidecar cannot have the engine's port %i", (port) => {
    const text = `${base}sidecars: [{ name: s, image: i, port: ${port} }]\n`;
    expect(issueAt(text, "sidecars[0].port").hint).toContain("3030");
  });

  test("a queue trigger needs tentacular-nats", () => {
    expect(issueAt(`${base}triggers: [{ type: queue, subject: a }]`, "triggers[0]").hint).toContain(
      "tentacular-nats",
    );
  });

  test("the own prefix in full is accepted", () => {
    const text = `${base}triggers: [{ type: queue, subject: tentacular.team.hello.a.> }]\ncontract: { dependencies: { tentacular-nats: } }\n`;
    expect(parseWorkflow(text).tentacle.triggers).toEqual([
      { type: "queue", subject: "tentacular.team.hello.a.>" },
    ]);
  });
});

describe("managed dependencies", () => {
  const known = [
    { dependency: "tentacular-postgres", protocol: "postgresql" },
    { dependency: "tentacular-nats", protocol: "nats", protocolAliases: ["stan"] },
  ];

  test("fault 12: an unknown one lists the known ones and the nearest", () => {
    const { tentacle } = parseWorkflow(dependencies("    tentacular-postgress:\n    tentacular-foo:\n"));
    const [near, far] = checkManaged(tentacle, known);
    expect(near?.hint).toContain("Did you mean tentacular-postgres?");
    expect(far?.hint).not.toContain("Did you mean");
    expect(far?.hint).toContain("tentacular-postgres, tentacular-nats");
    expect(far?.path).toBe("contract.dependencies.tentacular-foo");
  });

  test("the right protocol is accepted, another is not", () => {
    const read = (protocol: string) =>
      checkManaged(
        parseWorkflow(dependencies(`    tentacular-nats: { protocol: ${protocol} }\n`)).tentacle,
        known,
      );
    expect(read("nats")).toEqual([]);
    // A word that contracts in the wild use for the same thing.
    expect(read("stan")).toEqual([]);
    expect(read("http")).toMatchObject([{ path: "contract.dependencies.tentacular-nats.protocol" }]);
  });

  test("the deployed form is read by parseEnriched and refused from an author", () => {
    const text = dependencies(`    tentacular-postgres:
      protocol: postgresql
      host: db
      port: 5432
      schema: tn_x
      auth: { type: password, secret: tentacular-postgres.password }
`);
    const { tentacle, filled } = parseEnriched(text);
    expect(tentacle.contract.dependencies["tentacular-postgres"]).toMatchObject({ kind: "managed" });
    expect(filled).toEqual({
      "tentacular-postgres": {
        protocol: "postgresql",
        fields: { host: "db", port: 5432, schema: "tn_x" },
        auth: { type: "password", secret: "tentacular-postgres.password" },
      },
    });
    expect(issuesOf(text)[0]?.hint).toContain("deployed form");
  });
});

test("stages run in parallel what they can, in the order written", () => {
  const { tentacle } = parseWorkflow(`name: hello
version: 1
nodes: { d: { path: d.ts }, a: { path: a.ts }, b: { path: b.ts }, c: { path: c.ts }, alone: { path: e.ts } }
edges: [{ from: a, to: b }, { from: a, to: c }, { from: b, to: d }, { from: c, to: d }, { from: a, to: d }]
`);
  expect(stagesOf(tentacle)).toEqual([["a", "alone"], ["b", "c"], ["d"]]);
});
