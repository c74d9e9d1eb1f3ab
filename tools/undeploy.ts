import * as z from "zod";
import { defineTool } from "../src/server/tool.ts";
import { drifts, enclave, list, tentacleName, timings } from "./schemas/shared.ts";
import { undeployText } from "./text/undeploy.ts";

/** Removes a tentacle, with `force` its data too. */
export const undeploy = defineTool({
  name: "undeploy",
  title: "Undeploy a tentacle",
  description:
    "Stops a tentacle and ends its credentials; its data (schema, streams, objects) is kept, and deploying it again finds it. force: true also deletes all of that data for good: only when the person asked for it. Before: status shows what there is. Safe to repeat.",
  input: z.strictObject({
    enclave,
    name: tentacleName,
    force: z.boolean().optional().describe("Also delete its data for good."),
  }),
  output: z.object({
    enclave: z.string(),
    name: z.string(),
    force: z.boolean(),
    steps: timings,
    removed: list(z.string()),
    retained: list(z.string()),
    failed: drifts,
    next: z.string(),
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  async handle(input, context) {
    const structured = await context.operations.undeploy(input, context);
    return { structured, text: undeployText(structured) };
  },
});
