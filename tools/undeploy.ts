import * as z from "zod";
import { defineTool } from "../src/server/tool.ts";
import { drifts, enclave, list, tentacleName, timings } from "./schemas/shared.ts";
import { undeployText } from "./text/undeploy.ts";

/** Removes a tentacle, with `force` its data too. */
export const undeploy = defineTool({
  name: "undeploy",
  title: "Undeploy a tentacle",
  description:
    "Stops a tentacle and ends its credentials; its data (schema, streams, objects) is kept, and deploying it again finds it. force (its name again) also deletes all of that data for good: only when the person asked for it. Before: status shows what there is. Safe to repeat.",
  input: z.strictObject({
    enclave,
    name: tentacleName,
    force: z.string().max(63).optional().describe("Its name again: also delete its data for good."),
    dependency: z
      .string()
      .max(63)
      .optional()
      .describe("With force: only what this one kept when it was taken out of the contract."),
    orphan: z.boolean().optional().describe("With force: one of status's orphans; refused for any other."),
  }),
  output: z.object({
    operation: z.string(),
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
  confirm({ enclave: place, name, force, dependency }) {
    if (force === undefined) return undefined;
    const what = place === undefined ? name : `${name} in enclave ${place}`;
    const effect =
      dependency === undefined
        ? `delete ${what} and all its data`
        : `delete all that ${dependency} kept of ${what}`;
    return { argument: "force", given: force, name, effect };
  },
  async handle({ force, ...input }, context) {
    const request = { ...input, force: force !== undefined };
    const structured = await context.operations.undeploy(request, context);
    return { structured, text: undeployText(structured, input.dependency) };
  },
});
