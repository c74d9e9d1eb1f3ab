import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { McpServer } from "@modelcontextprotocol/server";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { Caller } from "../../src/callers/caller.ts";
import { openPolicy } from "../../src/callers/policy.ts";
import { serveHttp } from "../../src/server/http.ts";
import { fixtureHost } from "../support/fixture-tools.ts";
import { testService } from "../support/mcp.ts";
import { registerFixtures } from "./fixtures.ts";
import { advised, scenarios } from "./scenarios.ts";

const checksSchema = z.array(
  z.object({ id: z.string(), status: z.string(), errorMessage: z.string().optional() }),
);
type Checks = z.infer<typeof checksSchema>;

describe("the independent conformance suite of the protocol, against our server over HTTP", () => {
  const results = new Map<string, Checks>();

  beforeAll(async () => {
    const service = testService({ host: fixtureHost });
    const server = await serveHttp({
      authenticate: async () => new Caller("suite", openPolicy.grantsOf({ token: "suite" })),
      service: {
        ...service,
        create: async (context) => {
          const made = await service.create(context);
          return made instanceof McpServer ? registerFixtures(made) : made;
        },
      },
    });
    const folder = await mkdtemp(join(tmpdir(), "tentacular-conformance-"));
    try {
      await runSuite(server.url, folder);
      for (const name of await readdir(folder)) {
        // server-<scenario>-<time with dashes for colons>
        const scenario = /^server-(.*)-\d{4}-\d\d-\d\dT/.exec(name)?.[1] ?? name;
        const text = await readFile(join(folder, name, "checks.json"), "utf8");
        results.set(scenario, checksSchema.parse(JSON.parse(text)));
      }
    } finally {
      await server.close();
      await rm(folder, { recursive: true });
    }
  }, 240_000);

  it("ran every scenario that this version of the suite has for servers", () => {
    expect([...results.keys()].sort()).toEqual([...scenarios].sort());
  });

  it.each(scenarios)("%s", (scenario) => {
    const checks = results.get(scenario) ?? [];
    const notMet = checks.filter(({ status }) => status === "FAILURE" || status === "WARNING");
    expect(notMet.map(({ status, id }) => `${status} ${id}`)).toEqual(advised[scenario] ?? []);
    expect(checks.length).toBeGreaterThan(0);
  });
});

async function runSuite(url: string, folder: string): Promise<void> {
  const program = fileURLToPath(
    new URL("../../node_modules/@modelcontextprotocol/conformance/dist/index.js", import.meta.url),
  );
  const child = spawn(process.execPath, [program, "server", "--url", url, "--suite", "all", "-o", folder], {
    stdio: "ignore",
  });
  await once(child, "exit");
}
