import type { EnclaveInfo, ServiceFlag } from "../../src/pipeline/operations.ts";
import { bullets, plain } from "../../src/server/text.ts";
import { summaryLine } from "./status.ts";

/** What there is, how to declare it, and the first step. */
export function enclaveInfoText(info: EnclaveInfo): string {
  const { cluster, example } = info;
  const services = Object.entries(info.exo_services).map(([name, flag]) => serviceLine(name, flag));
  const limits = Object.entries(info.limits).map(([name, value]) => `${name} ${value}`);
  const others = info.enclaves.filter((name) => name !== info.enclave);
  return [
    `Enclave ${info.enclave}, ${cluster.kind} cluster${version(cluster.version)}: ${cluster.available ? "available" : `unavailable: ${plain(cluster.reason ?? "no reason known")}`}.`,
    ...(others.length > 0 ? [`Other enclaves: ${plain(others.join(", "), 400)}`] : []),
    "Services:",
    ...bullets(services, 20),
    ...(limits.length > 0 ? [`Limits: ${limits.join(", ")}`] : []),
    ...info.guide.slice(0, 5).map((line) => plain(line, 400)),
    "An example that deploys here as it is. workflow:",
    example.workflow.trimEnd(),
    ...Object.entries(example.files).flatMap(([path, source]) => [`files, ${path}:`, source.trimEnd()]),
    info.tentacles.length === 0 ? "No tentacles are deployed here." : "Tentacles:",
    ...bullets(info.tentacles.map(summaryLine), 15),
    ...(info.next === undefined ? [] : ["- … and more: call status without name."]),
    "Next: write workflow.yaml and its nodes like that, then deploy with dry_run: true.",
  ].join("\n");
}

function serviceLine(name: string, flag: ServiceFlag): string {
  const fields = flag.fields.join(", ");
  const state = flag.available
    ? `available${version(flag.version)}`
    : `${flag.enabled ? `unavailable${since(flag.since)}` : "not enabled"}: ${plain(flag.reason ?? "no reason known", 120)}`;
  return `${flag.dependency} (${name}, ${state}): ${plain(flag.summary)}${fields === "" ? "" : ` Fields: ${plain(fields)}`}`;
}

function since(value: string | undefined): string {
  return value === undefined ? "" : ` since ${plain(value, 40)}`;
}

function version(value: string | undefined): string {
  return value === undefined ? "" : ` ${plain(value, 40)}`;
}
