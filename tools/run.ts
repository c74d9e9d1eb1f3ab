import * as z from "zod";
import { defineTool } from "../src/server/tool.ts";
import { enclave, list, tentacleName } from "./schemas/shared.ts";
import { runText } from "./text/run.ts";

/** Runs a deployed tentacle once. */
export const run = defineTool({
  name: "run",
  title: "Run a tentacle",
  description:
    "Runs a deployed tentacle once and waits for its result: that of the last stage's nodes. It runs the author's code, with whatever effect that has. A node that fails is an answer with ok: false, its node and message. Before: deploy. When it fails: logs, correct the node, deploy, run again.",
  input: z.strictObject({
    enclave,
    name: tentacleName,
    input: z.unknown().optional().describe("Any JSON: what the first nodes get."),
    timeout_seconds: z.int().min(1).max(3_600).optional().describe("Give up after this. Default 120."),
  }),
  output: z.object({
    enclave: z.string(),
    name: z.string(),
    ok: z.boolean(),
    result: z.unknown().optional(),
    error: z
      .object({ node: z.string().optional(), message: z.string(), hint: z.string().optional() })
      .optional(),
    durationMs: z.number(),
    nodes: list(
      z.object({ node: z.string(), ok: z.boolean(), attempts: z.number(), durationMs: z.number() }),
    ),
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
  async handle({ enclave, name, input, timeout_seconds }, context) {
    const structured = await context.operations.run(
      { enclave, name, input, timeoutSeconds: timeout_seconds },
      context,
    );
    return { structured, text: runText(structured) };
  },
});
