import * as z from "zod";
import type { RepairAllResult, RepairResult } from "../src/pipeline/operations.ts";
import { repairAll } from "../src/pipeline/repair-all.ts";
import { defineTool, type ToolAnswer } from "../src/server/tool.ts";
import { drifts, enclave, list, tentacleName, timings, workload } from "./schemas/shared.ts";
import { repairAllText, repairText } from "./text/repair.ts";

const unfinished = z.enum(["none", "finished", "undone"]).describe("the interrupted operation");
const mended = list(z.string());

/** Ends what an interrupted operation left, and every difference from what was deployed. */
export const repair = defineTool({
  name: "repair",
  title: "Repair a tentacle",
  description:
    "Finishes or undoes an interrupted operation on a tentacle, and mends what differs from what was deployed, in services and cluster. Needs no files. Without name: every tentacle of the enclave that needs it. Before: status with detail: true shows the differences. Safe to repeat.",
  input: z.strictObject({
    enclave,
    name: tentacleName.optional().describe("The tentacle's name; without it, all."),
  }),
  output: z.object({
    operation: z.string().optional(),
    enclave: z.string(),
    name: z.string().optional(),
    unfinished: unfinished.optional(),
    steps: timings,
    mended: mended.optional(),
    failed: drifts.optional(),
    workload: workload.optional(),
    tentacles: list(z.object({ name: z.string(), unfinished, mended, failed: drifts }))
      .optional()
      .describe("without name: those mended or failed"),
    next: z.string(),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  async handle({ enclave: place, name }, context): Promise<ToolAnswer<RepairResult | RepairAllResult>> {
    const { operations, noted } = context;
    if (name === undefined) {
      const structured = await repairAll(operations, { enclave: place }, context, noted);
      return { structured, text: repairAllText(structured) };
    }
    const structured = await operations.repair({ enclave: place, name }, context);
    return { structured, text: repairText(structured) };
  },
});
