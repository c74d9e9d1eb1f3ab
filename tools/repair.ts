import * as z from "zod";
import { defineTool } from "../src/server/tool.ts";
import { drifts, enclave, list, tentacleName, timings, workload } from "./schemas/shared.ts";
import { repairText } from "./text/repair.ts";

/** Ends what an interrupted operation left, and every difference from what was deployed. */
export const repair = defineTool({
  name: "repair",
  title: "Repair a tentacle",
  description:
    "Finishes or undoes an interrupted operation on a tentacle, and mends what differs from what was deployed, in services and cluster. Needs no files. Before: status with detail: true shows the differences. Safe to repeat.",
  input: z.strictObject({ enclave, name: tentacleName }),
  output: z.object({
    operation: z.string(),
    enclave: z.string(),
    name: z.string(),
    unfinished: z.enum(["none", "finished", "undone"]).describe("the interrupted operation"),
    steps: timings,
    mended: list(z.string()),
    failed: drifts,
    workload: workload.optional(),
    next: z.string(),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  async handle(input, context) {
    const structured = await context.operations.repair(input, context);
    return { structured, text: repairText(structured) };
  },
});
