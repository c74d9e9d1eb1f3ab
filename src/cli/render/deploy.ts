import { counted } from "../../counted.ts";
import type { DeployView, UndeployView } from "../results.ts";
import type { Style } from "../style.ts";
import { columns, duration, plain, wrap } from "../text.ts";

export interface DeployRendering {
  readonly style: Style;
  /** Characters in a line. */
  readonly width?: number;
  /** The command that deploys what was planned; absent: no next step is shown. */
  readonly command?: string;
  /** Also print workflow.yaml as deployed, or as it would be. */
  readonly showWorkflow?: boolean;
}

/** A deploy, or with `dry_run` its plan, for people. */
export function renderDeploy(result: DeployView, rendering: DeployRendering): string {
  const { style, showWorkflow = false } = rendering;
  const head = result.dry_run ? planned(result, style) : deployed(result, rendering);
  const workflow = showWorkflow ? ["", plain(result.workflow).trimEnd()] : [];
  return [...head, ...provisioned(result, style), ...workflow, ...nextStep(result, rendering)].join("\n");
}

/** Did the deploy succeed and its tentacle fail all the same? */
export function doesNotRun({ workload }: DeployView): boolean {
  return workload?.state === "failed";
}

function deployed(result: DeployView, { style, width = Infinity }: DeployRendering): string[] {
  const total = result.steps.reduce((sum, { ms }) => sum + ms, 0);
  const what = `${result.changed ? "" : "nothing to change, "}revision ${result.revision}`;
  const line = `${title(result, style)}: ${what}, in ${duration(total)}`;
  const reason = plain(result.workload?.reason ?? "no reason given").replaceAll("\n", " ");
  if (doesNotRun(result))
    return [
      `${style.yellow("Deployed")} ${line}; ${style.red("but it does not run:")}`,
      wrap(reason, width, "  "),
    ];
  if (result.workload?.state === "starting")
    return [`${style.yellow("Deployed")} ${line}; it is still starting`];
  return [`${style.green("Deployed")} ${line}`];
}

function planned(result: DeployView, style: Style): string[] {
  const rows = result.plan.map(({ action, object }) => [colourOf(action, style)(action), plain(object)]);
  return [
    `Plan for ${title(result, style)}; nothing was written`,
    ...(rows.length > 0 ? [columns(rows, "  ")] : []),
    ...(result.dependencies.length > 0 ? [""] : []),
  ];
}

function colourOf(action: string, style: Style): (text: string) => string {
  if (action === "create") return style.green;
  if (action === "update" || action === "rotate") return style.yellow;
  return action === "delete" ? style.red : style.dim;
}

/** Each dependency: what became of it, and below what it is called in its service. */
function provisioned({ dependencies, dry_run: dryRun }: DeployView, style: Style): string[] {
  return dependencies.flatMap(({ service, names, created, repaired }) => {
    const states = [
      ...(created.length > 0 ? [style.green("provisioned")] : []),
      ...repaired.map((what) => `${style.yellow("repaired:")} ${plain(what)}`),
    ];
    const state = states.length > 0 ? states.join(", ") : style.dim("as it was");
    const rows = Object.entries(names).map(([key, value]) => [
      style.dim(plain(key).replaceAll("_", " ")),
      plain(value),
    ]);
    return [
      `  ${style.bold(plain(service))}${dryRun ? "" : `  ${state}`}`,
      ...(rows.length > 0 ? [columns(rows, "    ")] : []),
    ];
  });
}

function nextStep(result: DeployView, { style, command }: DeployRendering): string[] {
  if (command === undefined) return [];
  if (!result.dry_run)
    return ["", next(doesNotRun(result) ? `tntc logs ${result.name}` : `tntc run ${result.name}`, style)];
  if (result.plan.every(({ action }) => action === "unchanged"))
    return ["", next(`nothing to do: ${result.name} is as it should be`, style)];
  const planned = result.plan_hash === undefined ? command : `${command} --plan-hash ${result.plan_hash}`;
  return ["", next(planned, style)];
}

/** An undeploy for people. */
export function renderUndeploy(
  result: UndeployView,
  style: Style,
  { dependency, showNext = true }: { readonly dependency?: string; readonly showNext?: boolean } = {},
): string {
  const lines = [
    dependency !== undefined
      ? `${style.green("Purged")} what ${plain(dependency)} kept of ${style.bold(result.name)} in enclave ${result.enclave}`
      : `${style.green("Undeployed")} ${style.bold(result.name)} from enclave ${result.enclave}${result.force ? ", data included" : ""}`,
    ...list("removed", result.removed),
    ...list("kept", result.retained),
    ...result.failed.map(
      ({ item, problem }) => `  ${style.red("failed")}   ${plain(item)}: ${plain(problem)}`,
    ),
  ];
  if (result.failed.length > 0)
    lines.push(
      "",
      `${style.red(counted(result.failed.length, "part"))} could not be removed.`,
      next(
        `tntc undeploy ${result.name}${dependency === undefined ? "" : ` --dependency ${dependency}`}${result.force ? " --force" : ""} goes on where this stopped`,
        style,
      ),
    );
  else if (showNext && result.retained.length > 0)
    lines.push("", next(`tntc undeploy ${result.name} --force deletes what was kept`, style));
  return lines.join("\n");
}

function title({ name, version, enclave }: DeployView, style: Style): string {
  return `${style.bold(name)} ${plain(version)} to enclave ${enclave}`;
}

function next(what: string, style: Style): string {
  return `${style.cyan("next:")} ${what}`;
}

function list(label: string, items: readonly string[]): string[] {
  return items.map((item, index) => `  ${(index === 0 ? label : "").padEnd(8)} ${plain(item)}`);
}
