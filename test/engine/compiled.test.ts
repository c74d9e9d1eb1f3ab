import { describe, expect, it } from "vitest";
import { engineArgs } from "../../src/engine/command.ts";
import { compileTentacle, registriesOf } from "../../src/engine/compiled.ts";
import type { Tentacle } from "../../src/tentacle/tentacle.ts";

const tentacle: Tentacle = {
  name: "ledger",
  version: "1.0",
  metadata: { tags: [] },
  triggers: [{ type: "manual" }],
  nodes: {
    store: { path: "nodes/store.ts", capabilities: [] },
    report: { path: "nodes/report.ts", capabilities: [] },
  },
  edges: [
    { from: "store", to: "report" },
    { from: "store", to: "report" },
  ],
  config: { timeoutMs: 30_000, retries: 0, values: {} },
  sidecars: [],
  contract: {
    version: "1",
    networkPolicy: {},
    extensions: {},
    dependencies: {
      "tentacular-postgres": { kind: "managed", name: "tentacular-postgres" },
      "github-api": {
        kind: "host",
        name: "github-api",
        protocol: "https",
        host: "api.github.com",
        port: 443,
        auth: { type: "bearer-token", secret: { service: "github", key: "token" } },
        extra: { header: "X-Token" },
      },
      six: { kind: "host", name: "six", protocol: "https", host: "fd00::1", port: 8443, extra: {} },
      peers: {
        kind: "dynamic-target",
        name: "peers",
        cidr: "10.0.0.0/8",
        ports: [{ port: 9000, protocol: "TCP" }],
        extra: {},
      },
      dates: { kind: "module", name: "dates", protocol: "npm", package: "@x/dates", version: "4.1.0" },
    },
  },
  extra: {},
};
const filled = {
  "tentacular-postgres": {
    protocol: "postgresql",
    fields: { host: "db.internal", port: 5432, database: "tentacular", schema: "tn_a" },
    auth: { type: "password", secret: "tentacular-postgres.password" },
  },
};

describe("compiled tentacle", () => {
  const compiled = compileTentacle(tentacle, filled, [["store"], ["report"]]);

  it("fills managed dependencies in and points at their secret file", () => {
    expect(compiled.dependencies["tentacular-postgres"]).toEqual({
      kind: "managed",
      protocol: "postgresql",
      host: "db.internal",
      port: 5432,
      auth: { type: "password", secret: { service: "tentacular-postgres", key: "password" } },
      fields: { database: "tentacular", schema: "tn_a" },
    });
  });

  it("names each upstream node once", () => {
    expect(compiled.nodes.report).toEqual({ path: "nodes/report.ts", upstream: ["store"] });
  });

  it("survives JSON, as it travels in a ConfigMap", () => {
    expect(JSON.parse(JSON.stringify(compiled))).toEqual(compiled);
  });

  it("names the registries that modules come from", () => {
    expect(registriesOf(tentacle)).toEqual(["npm"]);
  });
});

describe("engine command", () => {
  const command = { appDir: "/app", listen: "0.0.0.0:8080", allowNet: ["db:5432"] };

  it("grants the declared network, reads below the app folder, and nothing else", () => {
    const granted = engineArgs(command).filter((arg) => arg.startsWith("--allow"));
    expect(granted).toEqual(["--allow-net=0.0.0.0:8080,db:5432", "--allow-read=/app"]);
  });

  it("downloads nothing unless the contract has a module dependency", () => {
    expect(engineArgs(command)).toEqual(expect.arrayContaining(["--no-npm", "--no-remote"]));
    expect(engineArgs({ ...command, modules: ["npm"] })).not.toContain("--no-npm");
    expect(engineArgs({ ...command, modules: ["npm"] })).toContain("--no-remote");
  });

  it("refuses a host that would smuggle in a second one", () => {
    expect(() => engineArgs({ ...command, allowNet: ["db:5432,0.0.0.0/0"] })).toThrow(/is no host/);
  });
});
