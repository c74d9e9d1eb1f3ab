import * as z from "zod";
import { defineTool } from "../src/server/tool.ts";
import { enclave, list, tentacleSummary, texts } from "./schemas/shared.ts";
import { enclaveInfoText } from "./text/enclave-info.ts";

/** What an agent reads before it designs a tentacle. */
export const enclaveInfo = defineTool({
  name: "enclave_info",
  title: "Enclave info",
  description:
    "All you need to write a tentacle for this enclave: which backing services are usable now and why not, how to declare each, which fields it gives, what a node looks like, limits, and an example that deploys as it is. Call it first. Then: deploy with dry_run.",
  input: z.strictObject({ enclave }),
  output: z.object({
    enclave: z.string(),
    cluster: z.object({
      kind: z.string(),
      available: z.boolean(),
      reason: z.string().optional(),
      version: z.string().optional(),
    }),
    enclaves: list(z.string()),
    exo_services: z.record(
      z.string(),
      z.object({
        enabled: z.boolean(),
        available: z.boolean(),
        reason: z.string().optional(),
        since: z.string().optional(),
        version: z.string().optional(),
        dependency: z.string(),
        summary: z.string(),
        usage: z.string().optional(),
        fields: list(z.string()),
      }),
    ),
    tentacles: list(tentacleSummary),
    next: z.string().optional().describe("cursor for status"),
    limits: z.record(z.string(), z.number()),
    guide: list(z.string()),
    example: z.object({ workflow: z.string(), files: texts }),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async handle(input, context) {
    const structured = await context.operations.enclaveInfo(input, context);
    return { structured, text: enclaveInfoText(structured) };
  },
});
