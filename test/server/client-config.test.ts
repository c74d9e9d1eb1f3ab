import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import * as z from "zod";
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

/** What each client's own documentation says of an entry: kinds, keys, and how a variable is written. */
const command = {
  command: z.string(),
  args: z.array(z.string()),
  env: z.record(z.string(), z.string()).optional(),
};
/** Absent where the client logs in by itself. */
const headers = (token: RegExp) => z.strictObject({ Authorization: z.string().regex(token) }).optional();
const documented = {
  "claude-desktop": z.strictObject({ mcpServers: z.record(z.string(), z.strictObject(command)) }),
  "claude-code": z.strictObject({
    mcpServers: z.record(
      z.string(),
      z.discriminatedUnion("type", [
        z.strictObject({ type: z.literal("stdio"), ...command }),
        z.strictObject({ type: z.literal("http"), url: z.url(), headers: headers(/^Bearer \$\{[A-Z_]+\}$/) }),
      ]),
    ),
  }),
  cursor: z.strictObject({
    mcpServers: z.record(
      z.string(),
      z.union([
        z.strictObject(command),
        z.strictObject({ url: z.url(), headers: headers(/^Bearer \$\{env:[A-Z_]+\}$/) }),
      ]),
    ),
  }),
  vscode: z.strictObject({
    servers: z.record(
      z.string(),
      z.discriminatedUnion("type", [
        z.strictObject({ type: z.literal("stdio"), ...command }),
        z.strictObject({
          type: z.literal("http"),
          url: z.url(),
          headers: headers(/^Bearer \$\{input:tentacular-token\}$/),
        }),
      ]),
    ),
    inputs: z
      .array(
        z.strictObject({
          type: z.literal("promptString"),
          id: z.literal("tentacular-token"),
          description: z.string(),
          password: z.literal(true),
        }),
      )
      .optional(),
  }),
};

it.each(mcpClients)("prints for %s what its documentation asks for, here and elsewhere", (client) => {
  const url = "https://tentacular.example.com/mcp";
  for (const where of [server, { url }, { url, oauth: true }])
    documented[client].parse(JSON.parse(clientConfig(client, where).text));
});

it.each(mcpClients)("says to %s which authority of the operator's own to trust", (client) => {
  for (const oauth of [true, false]) {
    const server = { url: "https://tentacular.internal/mcp", oauth, ca: "/etc/ssl/team.pem" };
    const { text, hint } = clientConfig(client, server);
    expect(hint).toContain("/etc/ssl/team.pem");
    const entry = /"NODE_EXTRA_CA_CERTS": "\/etc\/ssl\/team.pem"/;
    if (client === "claude-desktop") expect(text).toMatch(entry);
    else {
      expect(text).toBe(clientConfig(client, { url: server.url, oauth }).text);
      expect(hint).toContain("NODE_EXTRA_CA_CERTS=/etc/ssl/team.pem");
    }
  }
});

it.each(mcpClients)("configures no token for %s where it logs in at the provider", (client) => {
  const { text, hint } = clientConfig(client, { url: "https://tentacular.example.com/mcp", oauth: true });
  expect(text).not.toMatch(/authorization|token|inputs|env/i);
  expect(text).toContain("https://tentacular.example.com/mcp");
  expect(hint).toMatch(/browser opens/);
});

it("is documented for a server that runs elsewhere", async () => {
  const page = await readFile("docs/mcp-clients.md", "utf8");
  const shown = [...page.matchAll(/--client (\S+) --url …`[\s\S]*?```json\n([\s\S]*?)```/g)];
  expect(shown.map(([, client]) => client)).toEqual(mcpClients);
  for (const [index, client] of mcpClients.entries())
    expect(JSON.parse(shown[index]?.[2] ?? "")).toEqual(
      JSON.parse(clientConfig(client, { url: "https://tentacular.example.com/mcp" }).text),
    );
});
