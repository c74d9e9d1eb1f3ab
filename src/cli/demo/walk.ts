import type { z } from "zod";
import { Internal } from "../../errors.ts";
import type { Credentials } from "../../exoskeleton/registrar.ts";
import { readTentacleFolder } from "../../folder/read-folder.ts";
import { packageFile } from "../../package-files.ts";
import { readCredentials } from "../../pipeline/credentials.ts";
import type { TentacleFolder } from "../../server/tool.ts";
import { createIdentity } from "../../tentacle/identity.ts";
import type { RunningUp } from "../../up.ts";
import { callTool, callWithSteps } from "../call.ts";
import type { CommandIo } from "../io.ts";
import { renderDeploy, renderUndeploy } from "../render/deploy.ts";
import { renderEnclaveInfo } from "../render/enclave-info.ts";
import { renderStatus } from "../render/status.ts";
import { deploySchema, enclaveInfoSchema, runSchema, statusSchema, undeploySchema } from "../results.ts";
import { type Attempt, probes } from "./attempts.ts";
import { renamed, withoutDependencies } from "./without.ts";

const ENCLAVE = "demo";
const NAME = "event-ledger";
const NEIGHBOUR = "neighbour";
const EVENTS = [
  { kind: "order", amount: 40 },
  { kind: "refund", amount: -15 },
  { kind: "order", amount: 17 },
];

/** Walks the main job on `examples/event-ledger` and gives what it proved, a sentence each; throws when a proof fails. */
export async function walk(io: CommandIo, up: RunningUp): Promise<readonly string[]> {
  const { output, signal } = io;
  const style = output.noteStyle;
  const proofs: string[] = [];
  const heading = (text: string): void => output.note(`\n${style.bold(style.cyan(text))}`);
  const proved = (text: string): void => {
    proofs.push(text);
    output.note(`  ${style.green("✓")} ${text}`);
  };
  const require = (holds: boolean, text: string): void => {
    if (!holds)
      throw new Internal(`the demo expected: ${text}`, { hint: "This is a defect: please report it." });
    proved(text);
  };
  const call = async <T>(
    tool: string,
    args: Readonly<Record<string, unknown>>,
    schema: () => z.ZodType<T>,
  ): Promise<T> => (await callTool(io, tool, { enclave: ENCLAVE, ...args }, schema)).view;
  const deploy = async (folder: TentacleFolder, title: string) =>
    (
      await callWithSteps(
        io,
        "deploy",
        { enclave: ENCLAVE, workflow: folder.workflow, files: folder.files, detail: true },
        deploySchema,
        () => title,
      )
    ).view;
  const credentialsOf = (name: string): Promise<Readonly<Record<string, Credentials>>> =>
    readCredentials(up.platform.cluster, createIdentity(ENCLAVE, name), signal);

  heading("1. What this enclave offers (enclave_info)");
  const info = (await callTool(io, "enclave_info", {}, enclaveInfoSchema)).view;
  output.note(renderEnclaveInfo(info, style));
  const missing = Object.values(info.exo_services)
    .filter(({ available }) => !available)
    .map(({ dependency }) => dependency);
  const example = await readTentacleFolder(packageFile("examples/event-ledger"));
  const folder = { ...example, workflow: withoutDependencies(example.workflow, missing) };

  heading("2. What a deploy would do (deploy, dry_run)");
  const plan = await call(
    "deploy",
    { workflow: folder.workflow, files: folder.files, detail: true, dry_run: true },
    deploySchema,
  );
  for (const { action, object } of plan.plan) output.note(`  ${action.padEnd(9)} ${object}`);

  heading("3. Deploy: provision, fill in, inject, start (deploy)");
  const deployed = await deploy(folder, `Deploying ${NAME} to enclave ${ENCLAVE}`);
  output.note(renderDeploy(deployed, { style }));
  require(deployed.workload?.state === "ready", "the tentacle runs, with no credential typed by anybody");

  heading("4. The contract as deployed: filled in, without a secret");
  output.note(style.dim(contractOf(deployed.workflow)));
  const credentials = await credentialsOf(NAME);
  const secrets = Object.values(credentials).flatMap(({ password, creds, secret_key: key }) => [
    password,
    creds,
    key,
  ]);
  const shown = JSON.stringify([deployed, plan]);
  require(secrets.every(
    (secret) => secret === undefined || !shown.includes(JSON.stringify(secret).slice(1, -1)),
  ), "no secret is in the contract, the plan or the result");

  heading("5. Run it (run), and read what it stored");
  const first = await runOnce(io, EVENTS);
  output.note(JSON.stringify(first, null, 2));
  for (const probe of probes) {
    const own = credentials[probe.dependency];
    if (own === undefined) continue;
    const attempt = await probe.attempt(own, own);
    require(attempt.ok, `its own ${probe.dependency} credential can ${probe.what}: ${textOf(attempt)}`);
  }

  heading("6. How it is (status, detail)");
  output.note(renderStatus(await call("status", { name: NAME, detail: true }, statusSchema), style));

  heading("7. Another tentacle of the same enclave is refused");
  await deploy({ ...folder, workflow: renamed(folder.workflow, NEIGHBOUR) }, `Deploying ${NEIGHBOUR}`);
  const foreign = await credentialsOf(NEIGHBOUR);
  for (const probe of probes) {
    const [theirs, own] = [foreign[probe.dependency], credentials[probe.dependency]];
    if (theirs === undefined || own === undefined) continue;
    const attempt = await probe.attempt(theirs, own);
    require(!attempt.ok, `${NEIGHBOUR} cannot ${probe.what} of ${NAME}: ${textOf(attempt)}`);
  }

  heading("8. Undeploy: the access ends, the data stays (undeploy)");
  output.note(
    renderUndeploy(await call("undeploy", { name: NAME }, undeploySchema), style, { showNext: false }),
  );
  for (const probe of probes) {
    const own = credentials[probe.dependency];
    if (own === undefined) continue;
    const attempt = await probe.attempt(own, own);
    require(!attempt.ok, `its old ${probe.dependency} credential is dead: ${textOf(attempt)}`);
  }

  heading("9. Deploy again: the data is still there");
  await deploy(folder, `Deploying ${NAME} again`);
  const second = await runOnce(io, EVENTS);
  output.note(JSON.stringify(second, null, 2));
  require(countOf(second) ===
    countOf(first) +
      EVENTS.length, `${countOf(first)} events of before and ${EVENTS.length} new ones are in its ledger`);

  heading("10. Undeploy --force: nothing is left (undeploy, force)");
  for (const name of [NAME, NEIGHBOUR]) {
    output.note(renderUndeploy(await call("undeploy", { name, force: name }, undeploySchema), style));
    for (const service of up.platform.exoskeleton.services.filter(({ enabled }) => enabled)) {
      const registrar = await service.registrar();
      const { exists } = await registrar.inspect(createIdentity(ENCLAVE, name), undefined, { signal });
      require(!exists, `${service.definition.service} has nothing of ${name} any more`);
    }
    const owned = await up.platform.cluster.owned(createIdentity(ENCLAVE, name), signal);
    require(owned.length === 0, `the cluster has no object of ${name} any more`);
  }
  if (missing.length > 0) output.note(style.yellow(`\nNot shown, as it is not there: ${missing.join(", ")}`));
  return proofs;
}

async function runOnce(io: CommandIo, events: unknown): Promise<unknown> {
  const { view } = await callTool(io, "run", { enclave: ENCLAVE, name: NAME, input: { events } }, runSchema);
  if (!view.ok) throw new Internal("the demo's run failed", { hint: JSON.stringify(view) });
  return view.result;
}

function countOf(result: unknown): number {
  if (typeof result === "object" && result !== null && "events" in result) return Number(result.events);
  return Number.NaN;
}

function textOf(attempt: Attempt): string {
  return attempt.ok ? attempt.got : attempt.refusal;
}

/** The contract section of a workflow. */
function contractOf(workflow: string): string {
  const lines = workflow.split("\n");
  const start = lines.findIndex((line) => line.startsWith("contract:"));
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^[a-z]/.test(line));
  return [lines[start], ...(end === -1 ? rest : rest.slice(0, end))].join("\n").trimEnd();
}
