import * as z from "zod";
import { defineTool } from "../src/server/tool.ts";
import { authorSecrets, enclave, list, tentacleName } from "./schemas/shared.ts";
import { secretsText } from "./text/secrets.ts";

/** Which of the author's own secrets a tentacle has. */
export const secrets = defineTool({
  name: "secrets",
  title: "Names of a tentacle's secrets",
  description:
    "Names (never values) of the author's own secrets of a tentacle, such as github.token. Call it with name only, when deploy says that a secret is missing. Never ask for a value or pass one: ask the person to run `tntc secrets set <name> <service.key>` in a terminal, then deploy again. set and remove are for that program.",
  input: z.strictObject({
    enclave,
    name: tentacleName,
    set: authorSecrets.optional().describe("Not for agents."),
    remove: list(z.string()).optional().describe("Not for agents."),
  }),
  secretInput: ["set"],
  output: z.object({
    enclave: z.string(),
    name: z.string(),
    names: list(z.string()),
    changed: z.boolean(),
    next: z.string(),
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  async handle(input, context) {
    const structured = await context.operations.secrets(input, context);
    return { structured, text: secretsText(structured) };
  },
});
