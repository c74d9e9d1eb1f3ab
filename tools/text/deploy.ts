import type { DependencyReport, DeployResult } from "../../src/pipeline/operations.ts";
import { bullets, plain } from "../../src/server/text.ts";
import { names, timingLine, workloadLine } from "./parts.ts";

/** What was, or would be, done; what to heed; what to call next. */
export function deployText(result: DeployResult): string {
  const { name, version, enclave, revision, dry_run, changed } = result;
  const what = `${name} ${plain(version, 40)}`;
  const head = dry_run
    ? `Plan for ${what} in enclave ${enclave}: nothing was written.`
    : `Deployed ${what} to enclave ${enclave}, revision ${revision}${changed ? "" : ", nothing had changed"}.`;
  const plan = result.plan.filter(({ action }) => action !== "unchanged");
  const same = result.plan.filter(({ action }) => action === "unchanged");
  return [
    head,
    ...(result.workload === undefined ? [] : [workloadLine(result.workload)]),
    ...(result.workload?.state === "failed" ? ["It is deployed, but it does not run."] : []),
    ...section("Dependencies:", result.dependencies.map(dependencyLine), 20),
    ...section(
      dry_run ? "Would do:" : "Did:",
      plan.map(({ action, object }) => `${action} ${plain(object, 200)}`),
      30,
    ),
    ...(dry_run && same.length > 0
      ? [`Would leave as it is: ${plain(same.map(({ object }) => object).join(", "), 600)}`]
      : []),
    ...section(
      "Warnings:",
      result.warnings.map((warning) => plain(warning, 400)),
      20,
    ),
    ...(result.steps.length > 0 ? [timingLine(result.steps)] : []),
    `Next: ${plain(result.next, 400)}`,
  ].join("\n");
}

function section(title: string, items: readonly string[], max: number): string[] {
  return items.length === 0 ? [] : [title, ...bullets(items, max)];
}

function dependencyLine(report: DependencyReport): string {
  const created = report.created.length > 0 ? `; created ${plain(report.created.join(", "))}` : "";
  const repaired = report.repaired.length > 0 ? `; repaired: ${plain(report.repaired.join(", "))}` : "";
  return `${report.dependency}: ${names(report.names)}${created}${repaired}`;
}
