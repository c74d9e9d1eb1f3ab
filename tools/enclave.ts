import * as z from "zod";
import { defineTool } from "../src/server/tool.ts";
import { list, texts } from "./schemas/shared.ts";
import { enclaveText } from "./text/enclave.ts";

/** Makes and removes enclaves: what `tntc enclave provision` and `deprovision` call. */
export const enclave = defineTool({
  name: "enclave",
  title: "Provision or deprovision an enclave",
  description:
    "For operators: makes an enclave or removes one. Call it only when the person asked for it. deprovision refuses while tentacles or kept data are there.",
  input: z.strictObject({
    action: z.enum(["provision", "deprovision"]).describe("What to do."),
    enclave: z.string().max(63).describe("Its name."),
    quota: texts.optional().describe("Of pods, cpu, memory: {memory: 20Gi}."),
    dry_run: z.boolean().optional().describe("Only give the manifest."),
    force: z.string().optional().describe("Its name again: delete all that is in it for good."),
  }),
  output: z.object({
    enclave: z.string(),
    created: z.boolean().optional(),
    manifest: z.string().optional(),
    removed: list(z.string()).optional(),
    failed: list(z.string()).optional(),
    next: z.string(),
  }),
  annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: false },
  scope: "destroy",
  confirm: ({ action, enclave: name, force }) =>
    action === "provision" || force === undefined
      ? undefined
      : {
          argument: "force",
          given: force,
          name,
          effect: `delete enclave ${name}, all its tentacles and their data`,
        },
  async handle({ action, enclave: name, quota, force, dry_run: dryRun }, context) {
    const structured =
      action === "provision"
        ? await context.operations.provisionEnclave({ enclave: name, quota, dryRun }, context)
        : await context.operations.deprovisionEnclave({ enclave: name, force }, context);
    return { structured, text: enclaveText(structured, { dryRun }) };
  },
});
