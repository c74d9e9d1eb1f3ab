import * as z from "zod";
import { defineTool } from "../src/server/tool.ts";
import { enclave, list, tentacleName, timings, workload } from "./schemas/shared.ts";
import { rotateText } from "./text/rotate.ts";

/** Gives a tentacle new credentials without a moment in which it has none. */
export const rotate = defineTool({
  name: "rotate",
  title: "Rotate credentials",
  description:
    "Gives a tentacle new credentials for its tentacular-* dependencies: new logins beside the old, a restart with them, and the old ones end once it is ready; if it does not become ready both keep working. After: status.",
  input: z.strictObject({
    enclave,
    name: tentacleName,
    dependency: z.string().max(63).optional().describe("One, such as tentacular-postgres. Default: all."),
  }),
  output: z.object({
    operation: z.string(),
    enclave: z.string(),
    name: z.string(),
    revision: z.number(),
    steps: timings,
    rotated: list(z.string()),
    retired: z.boolean().describe("old credentials are ended"),
    workload,
    warnings: list(z.string()),
    next: z.string(),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  async handle(input, context) {
    const structured = await context.operations.rotate(input, context);
    return { structured, text: rotateText(structured) };
  },
});
