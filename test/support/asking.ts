import { Client } from "@modelcontextprotocol/client";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { type Era, newTransport, oldTransport, type Target } from "./mcp.ts";

/** What a person does with a form. */
export type PersonAnswer =
  | { action: "accept"; content: Record<string, boolean | string> }
  | { action: "decline" }
  | { action: "cancel" };

/** Calls a tool once with a client that can ask its person, who answers so; gives the result and what was asked. */
export async function callAndAnswer(
  era: Era,
  target: Target,
  answer: PersonAnswer,
  call: { readonly name: string; readonly arguments: Record<string, unknown> },
) {
  const questions: string[] = [];
  const info = { name: "asking", version: "1" };
  const capabilities = { elicitation: {} };
  if (era === "2026") {
    const client = new Client(info, { capabilities, versionNegotiation: { mode: { pin: "2026-07-28" } } });
    client.setRequestHandler("elicitation/create", ({ params }) => {
      questions.push(params.message);
      return answer;
    });
    await client.connect(newTransport(target));
    const result = await client.callTool(call);
    await client.close();
    return { result, questions };
  }
  const client = new OldClient(info, { capabilities });
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
    questions.push(params.message);
    return answer;
  });
  await client.connect(oldTransport(target));
  const result = await client.callTool(call);
  await client.close();
  return { result, questions };
}
