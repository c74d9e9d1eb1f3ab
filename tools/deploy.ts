import { isAbsolute } from "node:path";
import * as z from "zod";
import { InvalidInput } from "../src/errors.ts";
import { defineTool, type TentacleFolder, type ToolContext } from "../src/server/tool.ts";
import { authorSecrets, enclave, list, texts, timings, workload } from "./schemas/shared.ts";
import { deployText } from "./text/deploy.ts";

const input = z.strictObject({
  enclave,
  workflow: z.string().optional().describe("Text of workflow.yaml."),
  files: texts.optional().describe('Node sources by path beside workflow.yaml: {"nodes/a.ts": "…"}.'),
  directory: z
    .string()
    .optional()
    .describe("Instead of workflow and files: absolute path of a folder with workflow.yaml."),
  detail: z.boolean().optional().describe("Answer with the filled-in workflow and each object too."),
  dry_run: z.boolean().optional().describe("Only check and plan; write nothing."),
  plan_hash: z.string().optional().describe("Of a dry run: refused if anything changed since."),
  secrets: authorSecrets
    .optional()
    .describe("Leave out: a person sets values with `tntc secrets set <name> <service.key>`."),
  replace_secrets: z.boolean().optional().describe("Drop stored secrets that `secrets` does not name."),
});

/** Deploys or updates a tentacle, or plans to. */
export const deploy = defineTool({
  name: "deploy",
  title: "Deploy a tentacle",
  description:
    "Deploys a tentacle (workflow.yaml and its nodes) or updates it: checks it, provisions each tentacular-* dependency, injects credentials, starts it. Deploying the same again changes nothing; a failed deploy undoes itself. Before: enclave_info, then this with dry_run: true, which names every mistake and what would change. After: run, or status.",
  input,
  localInput: ["directory"],
  secretInput: ["secrets"],
  output: z.object({
    operation: z.string(),
    enclave: z.string(),
    name: z.string(),
    version: z.string(),
    dry_run: z.boolean(),
    revision: z.number(),
    plan_hash: z.string(),
    changed: z.boolean(),
    steps: timings,
    dependencies: list(
      z.object({
        dependency: z.string(),
        service: z.string(),
        names: texts,
        created: list(z.string()),
        repaired: list(z.string()),
      }),
    ),
    workflow: z.string().optional().describe("with detail: as deployed"),
    plan: list(
      z.object({
        action: z.enum(["create", "update", "unchanged", "rotate", "retain", "delete"]),
        object: z.string(),
      }),
    ),
    objects: list(
      z.object({
        kind: z.enum(["ConfigMap", "Secret", "Deployment", "Service", "NetworkPolicy", "ServiceAccount"]),
        name: z.string(),
        outcome: z.enum(["created", "updated", "unchanged"]),
      }),
    ).optional(),
    workload: workload.optional(),
    warnings: list(z.string()),
    next: z.string(),
  }),
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  async handle(input, context) {
    const { dry_run, plan_hash, replace_secrets, enclave, secrets, detail } = input;
    const folder = await source(input, context);
    const result = await context.operations.deploy(
      {
        enclave,
        workflow: folder.workflow,
        files: folder.files,
        secrets: secrets ?? folder.secrets,
        replaceSecrets: replace_secrets,
        dryRun: dry_run,
        planHash: plan_hash,
      },
      context,
    );
    const { workflow: _workflow, objects: _objects, ...brief } = result;
    return { structured: detail === true ? result : brief, text: deployText(result) };
  },
});

/** The tentacle itself: from the arguments, or from a folder. */
async function source(
  { workflow, files, directory }: z.output<typeof input>,
  { readDirectory }: ToolContext,
): Promise<Omit<TentacleFolder, "secrets"> & Partial<TentacleFolder>> {
  if (directory === undefined && workflow !== undefined) return { workflow, files: files ?? {} };
  if (directory === undefined || workflow !== undefined || files !== undefined)
    throw new InvalidInput(
      `deploy needs workflow and files${readDirectory === undefined ? "" : ", or else directory"}`,
      {
        path: "workflow",
        hint: "Pass the text of workflow.yaml as workflow and the node sources as files.",
      },
    );
  if (readDirectory === undefined || !isAbsolute(directory))
    throw new InvalidInput(`deploy cannot read the folder ${JSON.stringify(directory.slice(0, 200))}`, {
      path: "directory",
      hint: "Give an absolute path on the machine the server runs on, or pass workflow and files.",
    });
  return await readDirectory(directory);
}
