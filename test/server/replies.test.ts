import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { McpServer } from "@modelcontextprotocol/server";
import { expect, it } from "vitest";
import { createAuthentication } from "../../src/callers/authenticate.ts";
import { openPolicy } from "../../src/callers/policy.ts";
import { namedToken } from "../../src/callers/tokens.ts";
import { newToken, serveHttp } from "../../src/server/http.ts";
import { registerFixtures } from "../conformance/fixtures.ts";
import { fixtureHost } from "../support/fixture-tools.ts";
import { testService } from "../support/mcp.ts";

it("takes the answer to a question of a call only from the caller that was asked", async () => {
  const asked = newToken();
  const other = newToken();
  const service = testService({ host: fixtureHost });
  const server = await serveHttp({
    authenticate: createAuthentication({
      tokens: [namedToken("asked", asked), namedToken("other", other)],
      policy: openPolicy,
    }),
    service: {
      ...service,
      create: async (context) => {
        const made = await service.create(context);
        return made instanceof McpServer ? registerFixtures(made) : made;
      },
    },
  });
  const client = new Client({ name: "asked", version: "1" }, { capabilities: { elicitation: {} } });
  const statuses: number[] = [];
  client.setRequestHandler(ElicitRequestSchema, async (_request, { requestId }) => {
    // Somebody else has learnt the id, and is quicker.
    const forged = await fetch(server.url, {
      method: "POST",
      headers: {
        authorization: `Bearer ${other}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: requestId,
        result: { action: "accept", content: { username: "mallory", email: "m@example.com" } },
      }),
    });
    statuses.push(forged.status);
    return { action: "accept", content: { username: "alice", email: "a@example.com" } };
  });
  try {
    await client.connect(
      new StreamableHTTPClientTransport(new URL(server.url), {
        requestInit: { headers: { authorization: `Bearer ${asked}` } },
      }),
    );
    const result = await client.callTool({ name: "test_elicitation", arguments: { message: "who?" } });
    expect(JSON.stringify(result.content)).toContain("alice");
    expect(JSON.stringify(result.content)).not.toContain("mallory");
    // Nothing tells the other one that the id is in use.
    expect(statuses).toEqual([202]);
  } finally {
    await client.close();
    await server.close();
  }
});
