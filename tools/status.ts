import * as z from "zod";
import { InvalidInput } from "../src/errors.ts";
import type { ListResult, OrphansResult, StatusResult } from "../src/pipeline/operations.ts";
import { defineTool, type ToolAnswer } from "../src/server/tool.ts";
import {
  drifts,
  enclave,
  list,
  tentacleName,
  tentacleState,
  tentacleSummary,
  texts,
  workload,
} from "./schemas/shared.ts";
import { orphansText } from "./text/orphans.ts";
import { listText, statusText } from "./text/status.ts";

/** One tentacle's state; without a name, all tentacles by the page. */
export const status = defineTool({
  name: "status",
  title: "Status",
  description:
    "State of a tentacle: workload, dependencies, drift from what was deployed, and what to do next. detail: true adds facts, objects, what of them was changed, stages, events. Without name: the enclave's tentacles, a page at a time. Call it after deploy, or when run fails; then logs.",
  input: z.strictObject({
    enclave,
    name: tentacleName.optional().describe("The tentacle's name; without it, the list."),
    detail: z.boolean().optional().describe("Facts, objects, stages, events too."),
    operation: z.string().max(40).optional().describe("Id of an operation on it: how that went."),
    history: z.boolean().optional().describe("Its last operations too."),
    orphans: z
      .boolean()
      .optional()
      .describe("Without name: what services hold of tentacles that nobody knows of any more."),
    limit: z.int().min(1).max(500).optional().describe("Without name: tentacles a page. Default 20."),
    cursor: z.string().max(1_000).optional().describe("Without name: `next` of the last page."),
  }),
  output: z.object({
    enclave: z.string(),
    name: z.string().optional(),
    version: z.string().optional(),
    revision: z.number().optional(),
    state: tentacleState.optional(),
    workload: workload.optional(),
    dependencies: list(
      z.object({
        dependency: z.string(),
        service: z.string(),
        state: z.enum(["active", "retained", "absent", "drift", "unknown"]),
        reason: z.string().optional(),
        names: texts,
        facts: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
        drift: drifts.optional(),
      }),
    ).optional(),
    objects: list(z.string()).optional(),
    drift: drifts.optional(),
    stages: list(list(z.string())).optional(),
    events: list(
      z.object({
        warning: z.boolean(),
        object: z.string(),
        reason: z.string(),
        message: z.string(),
        count: z.number(),
        at: z.string(),
      }),
    ).optional(),
    deployedAt: z.string().optional(),
    operation: z
      .object({
        kind: z.string(),
        id: z.string(),
        since: z.string(),
        outcome: z.enum(["running", "interrupted", "done", "undone"]),
        holder: z.string().optional(),
        ended: z.string().optional(),
        error: z.string().optional(),
      })
      .optional(),
    history: list(
      z.object({
        kind: z.string(),
        id: z.string(),
        since: z.string(),
        outcome: z.enum(["done", "undone", "interrupted"]),
        ms: z.number(),
        caller: z.string().optional(),
        revision: z.number(),
      }),
    ).optional(),
    tentacles: list(tentacleSummary).optional().describe("without name"),
    orphans: list(
      z.object({
        name: z.string(),
        service: z.string(),
        items: list(z.string()),
        since: z.string().optional(),
      }),
    ).optional(),
    unasked: drifts.optional(),
    elsewhere: list(z.string()).optional(),
    next: z.string().optional().describe("what to do next; without name: cursor"),
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  async handle(input, context): Promise<ToolAnswer<StatusResult | ListResult | OrphansResult>> {
    const { name, enclave, detail, operation, history, orphans, limit = 20, cursor } = input;
    if (name === undefined && (operation !== undefined || history === true)) throw namesNobody(input);
    if (name !== undefined && orphans === true) throw namesOne(name);
    if (name === undefined && orphans === true) {
      const structured = await context.operations.orphans({ enclave }, context);
      return { structured, text: orphansText(structured) };
    }
    if (name === undefined) {
      const structured = await context.operations.list({ enclave, limit, cursor }, context);
      return { structured, text: listText(structured) };
    }
    const structured = await context.operations.status(
      { enclave, name, detail, operation, history },
      context,
    );
    return { structured, text: statusText(structured) };
  },
});

/** What is asked of one tentacle is not left unanswered by the list of all. */
function namesNobody({ operation }: { readonly operation?: string | undefined }): InvalidInput {
  const what = operation === undefined ? "history" : "operation";
  return new InvalidInput(`status with ${what} needs the name of the tentacle`, {
    path: "name",
    hint: `Call status with name and ${what}. Without either it lists the tentacles.`,
  });
}

function namesOne(name: string): InvalidInput {
  return new InvalidInput(`status with orphans is of a whole enclave, and name is ${JSON.stringify(name)}`, {
    path: "orphans",
    hint: "Leave out name to see the orphans, or orphans to see that tentacle.",
  });
}
