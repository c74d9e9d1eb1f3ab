import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { clientConfig, mcpClients } from "../../src/server/client-config.ts";

const server = { command: "npx", args: ["-y", "tentacular", "mcp"] };

it("prints each client's own format", () => {
  const parsed = mcpClients.map((client): unknown => JSON.parse(clientConfig(client, server).text));
  expect(parsed).toEqual([
    { mcpServers: { tentacular: server } },
    { mcpServers: { tentacular: { type: "stdio", ...server } } },
    { mcpServers: { tentacular: server } },
    { servers: { tentacular: { type: "stdio", ...server } } },
  ]);
});

it("passes the environment only when there is one", () => {
  expect(clientConfig("cursor", { ...server, env: {} }).text).not.toContain("env");
  expect(clientConfig("cursor", { ...server, env: { A: "b" } }).text).toContain('"env": {\n        "A": "b"');
});

it("is what mcp.json ships for Claude Desktop", async () => {
  const shipped: unknown = JSON.parse(await readFile("mcp.json", "utf8"));
  expect(shipped).toEqual(JSON.parse(clientConfig("claude-desktop", server).text));
});

it("is documented for every client", async () => {
  const page = await readFile("docs/mcp-clients.md", "utf8");
  const shown = [...page.matchAll(/--client (\S+)`\n[\s\S]*?```json\n([\s\S]*?)```/g)];
  expect(shown.map(([, client]) => client)).toEqual(mcpClients);
  for (const [index, client] of mcpClients.entries()) {
    const expected: unknown = JSON.parse(clientConfig(client, { command: "tntc", args: ["mcp"] }).text);
    expect(JSON.parse(shown[index]?.[2] ?? "")).toEqual(expected);
  }
});
