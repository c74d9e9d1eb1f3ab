import { readTentacleFolder } from "../../folder/read-folder.ts";
import { callWithSteps } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { doesNotRun, renderDeploy } from "../render/deploy.ts";
import { deploySchema } from "../results.ts";
import { plain } from "../text.ts";

export interface DeployOptions {
  readonly dir: string;
  readonly dryRun?: boolean;
  readonly replaceSecrets?: boolean;
  readonly showWorkflow?: boolean;
}

/** Reads the folder and has the server deploy it; the server checks everything before it writes. */
export async function run(options: DeployOptions, io: CommandIo): Promise<ExitCode> {
  const { workflow, files, secrets } = await readTentacleFolder(options.dir);
  const { structured, view } = await callWithSteps(
    io,
    "deploy",
    {
      ...enclaveArgument(io),
      workflow,
      files,
      detail: true,
      ...(Object.keys(secrets).length > 0 && { secrets }),
      ...(options.dryRun === true && { dry_run: true }),
      ...(options.replaceSecrets === true && { replace_secrets: true }),
    },
    deploySchema,
    ({ url }) => `${options.dryRun === true ? "Planning" : "Deploying"} ${options.dir} at ${url}`,
    { idempotent: true },
  );
  for (const warning of view.warnings) io.output.warn(plain(warning));
  const { style, width } = io.output;
  const command = options.dir === "." ? "tntc deploy" : `tntc deploy ${options.dir}`;
  await io.output.result(structured, () =>
    renderDeploy(view, { style, width, command, showWorkflow: options.showWorkflow === true }),
  );
  return doesNotRun(view) ? exitCodes.incomplete : exitCodes.ok;
}
