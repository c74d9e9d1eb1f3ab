import { setTimeout as pause } from "node:timers/promises";
import type { McpServer } from "@modelcontextprotocol/server";
import { completable, fromJsonSchema, ResourceTemplate } from "@modelcontextprotocol/server";
import * as z from "zod";

const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";
const image = { type: "image", data: PNG, mimeType: "image/png" } as const;
const choices = ["option1", "option2", "option3"];
const titled = (word: string) =>
  ["First", "Second", "Third"].map((nth, index) => ({ const: `value${index + 1}`, title: `${nth} ${word}` }));

/** What the suite wants to find on a server, put beside what ours offers: texts and names are the suite's. */
export function registerFixtures(server: McpServer): McpServer {
  server.server.registerCapabilities({ logging: {}, resources: { subscribe: true } });
  registerContents(server);
  registerMessages(server);
  registerQuestions(server);
  registerResources(server);
  registerPrompts(server);
  return server;
}

function registerContents(server: McpServer): void {
  const contents = {
    test_simple_text: [text("This is a simple text response for testing.")],
    test_image_content: [image],
    test_audio_content: [{ type: "audio" as const, data: WAV, mimeType: "audio/wav" }],
    test_embedded_resource: [embedded("test://embedded-resource", "This is an embedded resource content.")],
    test_multiple_content_types: [
      text("Multiple content types test:"),
      image,
      embedded("test://mixed-content-resource", '{"test":"data","value":123}'),
    ],
    // Its stream could be closed and taken up again in a session; here its answer comes on the stream of the call.
    test_reconnection: [text("Answered on the stream of its call.")],
  };
  for (const [name, content] of Object.entries(contents))
    server.registerTool(name, { description: `Returns ${name}` }, () => ({ content }));
  server.registerTool("test_error_handling", { description: "Always fails" }, () => {
    throw new Error("This tool intentionally returns an error for testing");
  });
  server.registerTool(
    "json_schema_2020_12_tool",
    {
      description: "Tool with JSON Schema 2020-12 features",
      inputSchema: fromJsonSchema({
        $schema: "https://json-schema.org/draft/2020-12/schema",
        type: "object",
        $defs: {
          address: {
            type: "object",
            properties: { street: { type: "string" }, city: { type: "string" } },
          },
        },
        properties: { name: { type: "string" }, address: { $ref: "#/$defs/address" } },
        additionalProperties: false,
      }),
    },
    () => ({ content: [text("called")] }),
  );
}

function registerMessages(server: McpServer): void {
  server.registerTool("test_tool_with_logging", { description: "Sends three log lines" }, async (context) => {
    for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await context.mcpReq.notify({ method: "notifications/message", params: { level: "info", data } });
      await pause(50);
    }
    return { content: [text("logged")] };
  });
  server.registerTool("test_tool_with_progress", { description: "Reports progress" }, async (context) => {
    const progressToken = context.mcpReq._meta?.progressToken;
    for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
      await context.mcpReq.notify({
        method: "notifications/progress",
        params: { progressToken: progressToken ?? "", progress, total: 100 },
      });
      await pause(50);
    }
    return { content: [text("done")] };
  });
}

function registerQuestions(server: McpServer): void {
  server.registerTool(
    "test_sampling",
    { description: "Asks the client's model", inputSchema: z.object({ prompt: z.string() }) },
    async ({ prompt }, context) => {
      const answer = await context.mcpReq.send({
        method: "sampling/createMessage",
        params: { messages: [{ role: "user", content: text(prompt) }], maxTokens: 100 },
      });
      return { content: [text(`LLM response: ${JSON.stringify(answer)}`)] };
    },
  );
  const form = (name: string, properties: Record<string, object>, required: readonly string[] = []): void =>
    void server.registerTool(
      name,
      {
        description: "Asks the person",
        inputSchema: z.object({ message: z.string().default("Please fill in") }),
      },
      async ({ message }, context) => {
        const requestedSchema = { type: "object", properties, required: [...required] };
        const answer = await context.mcpReq.send(
          { method: "elicitation/create", params: { message, requestedSchema } },
          z.object({ action: z.string(), content: z.unknown().optional() }),
        );
        return {
          content: [
            text(`Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content)}`),
          ],
        };
      },
    );
  form("test_elicitation", { username: { type: "string" }, email: { type: "string" } }, [
    "username",
    "email",
  ]);
  form("test_elicitation_sep1034_defaults", {
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true },
  });
  form("test_elicitation_sep1330_enums", {
    untitledSingle: { type: "string", enum: choices },
    titledSingle: { type: "string", oneOf: titled("Option") },
    legacyEnum: { type: "string", enum: choices, enumNames: ["Option One", "Option Two", "Option Three"] },
    untitledMulti: { type: "array", items: { type: "string", enum: choices } },
    titledMulti: { type: "array", items: { anyOf: titled("Choice") } },
  });
}

function registerResources(server: McpServer): void {
  server.registerResource("static-text", "test://static-text", { mimeType: "text/plain" }, ({ href }) => ({
    contents: [
      { uri: href, mimeType: "text/plain", text: "This is the content of the static text resource." },
    ],
  }));
  server.registerResource("static-binary", "test://static-binary", { mimeType: "image/png" }, ({ href }) => ({
    contents: [{ uri: href, mimeType: "image/png", blob: PNG }],
  }));
  server.registerResource(
    "template",
    new ResourceTemplate("test://template/{id}/data", { list: undefined }),
    { mimeType: "application/json" },
    ({ href }, { id }) => ({
      contents: [
        { uri: href, mimeType: "application/json", text: JSON.stringify({ id, templateTest: true }) },
      ],
    }),
  );
  server.server.setRequestHandler("resources/subscribe", () => ({}));
  server.server.setRequestHandler("resources/unsubscribe", () => ({}));
}

function registerPrompts(server: McpServer): void {
  const message = (...content: readonly Content[]) => ({
    messages: content.map((one) => ({ role: "user" as const, content: one })),
  });
  server.registerPrompt("test_simple_prompt", { description: "Simple" }, () =>
    message(text("This is a simple prompt for testing.")),
  );
  server.registerPrompt(
    "test_prompt_with_arguments",
    {
      description: "With arguments",
      argsSchema: z.object({ arg1: completable(z.string(), () => ["testValue1"]), arg2: z.string() }),
    },
    ({ arg1, arg2 }) => message(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  );
  server.registerPrompt(
    "test_prompt_with_embedded_resource",
    { description: "With a resource", argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) =>
      message(embedded(resourceUri, "Embedded resource content for testing."), text("Please process it.")),
  );
  server.registerPrompt("test_prompt_with_image", { description: "With an image" }, () =>
    message(image, text("Please analyze the image above.")),
  );
}

type Content = typeof image | ReturnType<typeof text> | ReturnType<typeof embedded>;

function text(content: string) {
  return { type: "text" as const, text: content };
}

function embedded(uri: string, content: string) {
  return { type: "resource" as const, resource: { uri, mimeType: "text/plain", text: content } };
}
