import type { DeployView, UndeployView } from "../results.ts";
import type { Style } from "../style.ts";
import { columns, counted, duration, namesOf, plain } from "../text.ts";

/** A deploy, or with `dry_run` its plan, for people. */
export function renderDeploy(result: DeployView, style: Style): string {
  return result.dry_run ? renderPlan(result, style) : renderDeployed(result, style);
}

function renderDeployed(result: DeployView, style: Style): string {
  const total = result.steps.reduce((sum, { ms }) => sum + ms, 0);
  const what = result.changed
    ? `revision ${result.revision}`
    : `nothing to change, revision ${result.revision}`;
  const lines = [
    `${style.green("Deployed")} ${title(result, style)}: ${what}, in ${duration(total)}`,
    ...provisioned(result, style),
  ];
  if (result.workload !== undefined && result.workload.state !== "ready")
    lines.push(
      `  ${style.yellow(result.workload.state)}: ${plain(result.workload.reason ?? "not ready yet")}`,
    );
  return [...lines, "", next(`tntc run ${result.name}`, style)].join("\n");
}

function renderPlan(result: DeployView, style: Style): string {
  const marks: Readonly<Record<string, (text: string) => string>> = {
    create: style.green,
    update: style.yellow,
    delete: style.red,
  };
  const rows = result.plan.map(({ action, object }) => [(marks[action] ?? style.dim)(action), plain(object)]);
  const writes = result.plan.filter(({ action }) => action in marks).length;
  return [
    `Plan for ${title(result, style)}; nothing was written`,
    ...(rows.length > 0 ? [columns(rows, "  ")] : []),
    ...provisioned(result, style),
    "",
    style.bold("workflow.yaml as it would be deployed:"),
    style.dim(plain(result.workflow).trimEnd()),
    "",
    next(writes === 0 ? `nothing to do: ${result.name} is as it should be` : "tntc deploy", style),
  ].join("\n");
}

/** An undeploy for people. */
export function renderUndeploy(result: UndeployView, style: Style): string {
  const lines = [
    `${style.green("Undeployed")} ${style.bold(result.name)} from enclave ${result.enclave}${result.force ? ", data included" : ""}`,
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
      next(again(result), style),
    );
  else if (result.retained.length > 0)
    lines.push("", next(`tntc undeploy ${result.name} --force deletes what was kept`, style));
  return lines.join("\n");
}

function again({ name, force }: UndeployView): string {
  return `tntc undeploy ${name}${force ? " --force" : ""} goes on where this stopped`;
}

function provisioned(result: DeployView, style: Style): string[] {
  const rows = result.dependencies.map(({ service, names, created, repaired }) => [
    style.bold(plain(service)),
    plain(namesOf(names)),
    style.dim(
      [
        created.length > 0 ? `created ${created.join(", ")}` : "",
        repaired.length > 0 ? `repaired: ${repaired.join(", ")}` : "",
      ]
        .filter((part) => part !== "")
        .map(plain)
        .join("; "),
    ),
  ]);
  return rows.length === 0 ? [] : [columns(rows, "  ")];
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
