import { readTentacleFolder } from "../../folder/read-folder.ts";
import { declaredNames } from "../../tentacle/parse.ts";
import { callWithSteps } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { doesNotRun, renderDeploy } from "../render/deploy.ts";
import { deploySchema } from "../results.ts";
import { plain } from "../text.ts";

export interface DeployOptions {
  readonly dir: string;
  readonly dryRun?: boolean;
  readonly planHash?: string;
  readonly replaceSecrets?: boolean;
  readonly showWorkflow?: boolean;
}

/** Reads the folder and has the server deploy it; the server checks everything before it writes. */
export async function run(options: DeployOptions, io: CommandIo): Promise<ExitCode> {
  const { workflow, files, secrets } = await readTentacleFolder(options.dir);
  const enclave = enclaveArgument(io);
  const { structured, view } = await callWithSteps(
    io,
    "deploy",
    {
      ...enclave,
      workflow,
      files,
      detail: true,
      ...(Object.keys(secrets).length > 0 && { secrets }),
      ...(options.dryRun === true && { dry_run: true }),
      ...(options.planHash !== undefined && { plan_hash: options.planHash }),
      ...(options.replaceSecrets === true && { replace_secrets: true }),
    },
    deploySchema,
    ({ url }) => `${options.dryRun === true ? "Planning" : "Deploying"} ${options.dir} at ${url}`,
    // A plan that was carried out is none any more: that operation is looked for by its tentacle.
    { idempotent: options.planHash === undefined, tentacle: { ...declaredNames(workflow), ...enclave } },
  );
  for (const warning of view.warnings) io.output.warn(plain(warning));
  const { style, width } = io.output;
  const command = [
    "tntc deploy",
    ...(options.dir === "." ? [] : [options.dir]),
    ...(options.dryRun === true && enclave.enclave !== undefined ? [`-e ${enclave.enclave}`] : []),
    ...(options.dryRun === true && options.replaceSecrets === true ? ["--replace-secrets"] : []),
  ].join(" ");
  await io.output.result(structured, () =>
    renderDeploy(view, { style, width, command, showWorkflow: options.showWorkflow === true }),
  );
  return doesNotRun(view) ? exitCodes.incomplete : exitCodes.ok;
}
