import { Client } from "@modelcontextprotocol/client";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { McpService } from "../../src/server/mcp-server.ts";
import { tools } from "../../tools/index.ts";
import { eras, inMemory, testService } from "../support/mcp.ts";
import { createTestPlatform, freshCall, type TestPlatform } from "../support/platform.ts";
import { greeter } from "../support/tool-world.ts";

/** What this file needs of either client library. */
type Connected = Pick<
  Client,
  | "listResources"
  | "listResourceTemplates"
  | "readResource"
  | "listPrompts"
  | "getPrompt"
  | "complete"
  | "close"
>;

let platform: TestPlatform;
let service: McpService;

beforeAll(async () => {
  platform = await createTestPlatform({ ...inactive() }, []);
  const { operations } = platform;
  service = testService({ host: async () => ({ operations }) });
  for (const name of ["alpha", "beta"]) await operations.deploy(greeter(name), freshCall());
  await operations.provisionEnclave({ enclave: "team-b" }, freshCall());
  await operations.deploy({ enclave: "team-b", ...greeter("gamma") }, freshCall());
});
afterAll(() => platform.close());

function inactive(): Parameters<typeof createTestPlatform>[0] {
  const off = { available: false, reason: "not needed here" } as const;
  return { postgres: off, nats: off, rustfs: off };
}

async function open(era: (typeof eras)[number], to: McpService): Promise<Connected> {
  const info = { name: "reading", version: "1" };
  if (era === "2026") {
    const client = new Client(info, { versionNegotiation: { mode: { pin: "2026-07-28" } } });
    await client.connect(inMemory(to));
    return client;
  }
  const client = new OldClient(info);
  await client.connect(inMemory(to));
  return client;
}

describe.each(eras)("a client of the %s protocol", (era) => {
  let client: Connected;
  beforeAll(async () => {
    client = await open(era, service);
  });
  afterAll(() => client.close());

  const textOf = async (uri: string): Promise<string> => {
    const { contents } = await client.readResource({ uri });
    return contents.map((content) => ("text" in content ? content.text : "")).join("\n");
  };

  it("lists the guide, the enclaves and the tentacles, and reads each", async () => {
    const { resources } = await client.listResources();
    const uris = resources.map(({ uri }) => uri);
    expect(uris).toEqual([
      "tentacular://guide",
      "tentacular://enclaves/local",
      "tentacular://enclaves/team-b",
      "tentacular://enclaves/local/tentacles/alpha",
      "tentacular://enclaves/local/tentacles/beta",
    ]);
    expect(await textOf("tentacular://guide")).toContain("## The order of work");
    expect(await textOf("tentacular://enclaves/team-b")).toMatch(/^Enclave team-b, /);
    expect(await textOf("tentacular://enclaves/local/tentacles/beta")).toContain("Deployment beta");
    expect(await textOf("tentacular://enclaves/team-b/tentacles/gamma")).toMatch(
      /^gamma 1\.0\.0 in enclave team-b/,
    );
    const { resourceTemplates } = await client.listResourceTemplates();
    expect(resourceTemplates.map(({ uriTemplate }) => uriTemplate)).toEqual([
      "tentacular://enclaves/{enclave}",
      "tentacular://enclaves/{enclave}/tentacles/{name}",
    ]);
  });

  it.each([
    "tentacular://enclaves/No%20Where",
    "tentacular://enclaves/local/tentacles/delta",
    "tentacular://enclaves/local/tentacles/..%2Falpha",
    "tentacular://enclaves/%00/tentacles/alpha",
    "tentacular://enclaves/%E0%A4%A/tentacles/alpha",
    "tentacular://else",
    "file:///etc/passwd",
  ])("finds nothing at %s", async (uri) => {
    await expect(client.readResource({ uri })).rejects.toThrow();
  });

  it("completes enclaves, and the tentacles of the enclave at hand", async () => {
    const template = {
      type: "ref/resource",
      uri: "tentacular://enclaves/{enclave}/tentacles/{name}",
    } as const;
    const values = async (
      ref: Parameters<Connected["complete"]>[0]["ref"],
      name: string,
      value: string,
      given: Record<string, string> = {},
    ) =>
      (await client.complete({ ref, argument: { name, value }, context: { arguments: given } })).completion
        .values;
    expect(await values(template, "enclave", "")).toEqual(["local", "team-b"]);
    expect(await values(template, "enclave", "team")).toEqual(["team-b"]);
    expect(await values(template, "name", "")).toEqual(["alpha", "beta"]);
    expect(await values(template, "name", "g", { enclave: "team-b" })).toEqual(["gamma"]);
    const prompt = { type: "ref/prompt", name: "diagnose_tentacle" } as const;
    expect(await values(prompt, "name", "al")).toEqual(["alpha"]);
    expect(await values(prompt, "enclave", "lo")).toEqual(["local"]);
  });

  it("begins a conversation with what the installation says now", async () => {
    const { prompts } = await client.listPrompts();
    expect(prompts.map(({ name }) => name)).toEqual(["design_tentacle", "diagnose_tentacle"]);
    const design = JSON.stringify(
      await client.getPrompt({ name: "design_tentacle", arguments: { goal: "Count visitors" } }),
    );
    for (const part of ["Count visitors", "Enclave local", "nodes/main.ts", "dry_run"])
      expect(design).toContain(part);
    const diagnose = JSON.stringify(
      await client.getPrompt({ name: "diagnose_tentacle", arguments: { name: "gamma", enclave: "team-b" } }),
    );
    for (const part of ["gamma 1.0.0 in enclave team-b", "Deployment gamma", "Its log"])
      expect(diagnose).toContain(part);
    const absent = JSON.stringify(
      await client.getPrompt({ name: "diagnose_tentacle", arguments: { name: "delta" } }),
    );
    expect(absent).toContain("there is no tentacle delta in enclave local");
  });

  it("is shown nothing that its tools would not show", async () => {
    const blind = await open(
      era,
      testService({
        tools: tools.filter(({ name }) => name === "run" || name === "deploy"),
        host: async () => ({ operations: platform.operations }),
      }),
    );
    expect((await blind.listResources()).resources.map(({ uri }) => uri)).toEqual(["tentacular://guide"]);
    await expect(blind.readResource({ uri: "tentacular://enclaves/local" })).rejects.toThrow();
    await expect(
      blind.getPrompt({ name: "diagnose_tentacle", arguments: { name: "alpha" } }),
    ).rejects.toThrow();
    await blind.close();
  });

  it("leads nobody who may only look to change anything", async () => {
    const looking = await open(
      era,
      testService({
        tools: tools.filter(({ annotations }) => annotations.readOnlyHint),
        host: async () => ({ operations: platform.operations }),
      }),
    );
    expect((await looking.listResources()).resources.map(({ uri }) => uri)).not.toContain(
      "tentacular://guide",
    );
    expect((await looking.listPrompts()).prompts.map(({ name }) => name)).toEqual(["diagnose_tentacle"]);
    const prompt = await looking.getPrompt({ name: "diagnose_tentacle", arguments: { name: "alpha" } });
    const [message] = prompt.messages;
    const said = message?.content.type === "text" ? message.content.text : "";
    expect(said).toMatch(/Say what should be changed; you cannot\.$/);
    expect(said).not.toMatch(/deploy with|deploy again|undeploy|mend it/);
    await looking.close();
  });

  it("wakes no server that is heavy to start by asking for lists", async () => {
    let made = 0;
    const lazy = await open(
      era,
      testService({
        lazyHost: true,
        host: async () => {
          made++;
          return { operations: platform.operations };
        },
      }),
    );
    expect((await lazy.listResources()).resources).toHaveLength(1);
    await lazy.listPrompts();
    const ref = { type: "ref/prompt", name: "diagnose_tentacle" } as const;
    expect((await lazy.complete({ ref, argument: { name: "name", value: "" } })).completion.values).toEqual(
      [],
    );
    expect(made).toBe(0);
    await lazy.readResource({ uri: "tentacular://enclaves/local" });
    expect(made).toBe(1);
    expect((await lazy.listResources()).resources.length).toBeGreaterThan(1);
    await lazy.close();
  });
});
