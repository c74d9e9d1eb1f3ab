import { counted } from "../../counted.ts";
import type { ListView, StatusView } from "../results.ts";
import type { Style } from "../style.ts";
import { ago, columns, namesOf, plain, wrap } from "../text.ts";

/** One tentacle as an aligned block. */
export function renderStatus(status: StatusView, style: Style, width = Infinity, now = Date.now()): string {
  const { workload } = status;
  const rows: string[][] = [
    ["enclave", status.enclave],
    [
      "version",
      `${plain(status.version)}, revision ${status.revision}${status.deployedAt === undefined ? "" : `, deployed ${ago(status.deployedAt, now)}`}`,
    ],
    [
      "workload",
      [
        colourOf(workload.state, style)(workload.state),
        ...(workload.restarts > 0 ? [counted(workload.restarts, "restart")] : []),
        ...(workload.startedAt === undefined ? [] : [`started ${ago(workload.startedAt, now)}`]),
        ...(workload.address === undefined ? [] : [workload.address]),
      ].join(", "),
    ],
    ...(workload.reason === undefined ? [] : [["", plain(workload.reason)]]),
    ...operationRow(status, now),
    ...status.dependencies.flatMap((dependency) => dependencyRows(dependency, style)),
    ...(status.drift ?? []).map(({ item, problem }, index) => [
      index === 0 ? "drift" : "",
      `${style.red(plain(item))}: ${plain(problem)}`,
    ]),
    ...(status.stages === undefined
      ? []
      : [["stages", status.stages.map((nodes) => nodes.map(plain).join(" + ")).join(" → ")]]),
    ...(status.events ?? []).map((event, index) => [
      index === 0 ? "events" : "",
      eventText(event, style, now),
    ]),
    ...(status.objects ?? []).map((object, index) => [index === 0 ? "objects" : "", plain(object)]),
  ];
  const labels = Math.max(...rows.map(([label = ""]) => label.length));
  return [
    `${style.bold(status.name)}  ${colourOf(status.state, style)(status.state)}`,
    columns(
      rows.flatMap(([label = "", value = ""]) => wrapped(style.dim(label), value, width - labels - 4)),
      "  ",
    ),
  ].join("\n");
}

/** Tentacles as aligned columns; the header line only when there is something under it. */
export function renderList(list: ListView, style: Style, now = Date.now()): string {
  if (list.tentacles.length === 0)
    return `No tentacles in enclave ${list.enclave}. ${style.cyan("next:")} tntc init hello`;
  return columns([
    ["NAME", "STATE", "VERSION", "DEPLOYED", "DEPENDENCIES"].map(style.dim),
    ...list.tentacles.map(({ name, state, version, deployedAt, dependencies }) => [
      style.bold(name),
      colourOf(state, style)(state),
      plain(version),
      ago(deployedAt, now),
      dependencies.map((dependency) => plain(dependency).replace(/^tentacular-/, "")).join(", ") || "-",
    ]),
  ]);
}

/** Green for what works, red for what does not, yellow for what is between. */
function colourOf(state: string, style: Style): (text: string) => string {
  if (state === "ready" || state === "active") return style.green;
  if (state === "failed" || state === "drift") return style.red;
  return style.yellow;
}

function operationRow({ operation }: StatusView, now: number): string[][] {
  if (operation === undefined) return [];
  const { kind, id, outcome, since, ended, holder, error } = operation;
  const when = ended === undefined ? `began ${ago(since, now)}` : `ended ${ago(ended, now)}`;
  const by = holder === undefined ? "" : `, by ${plain(holder)}`;
  return [
    ["operation", `${plain(kind)} ${plain(outcome)}, ${when}${by}  (${plain(id)})`],
    ...(error === undefined ? [] : [["", plain(error)]]),
  ];
}

function eventText(event: NonNullable<StatusView["events"]>[number], style: Style, now: number): string {
  const { warning, object, reason, message, count, at } = event;
  const times = count > 1 ? `, ${count} times` : "";
  const what = warning ? style.yellow(plain(reason)) : plain(reason);
  return `${what}  ${plain(object)}, ${ago(at, now)}${times}: ${plain(message)}`;
}

function dependencyRows(dependency: StatusView["dependencies"][number], style: Style): string[][] {
  const rows = [
    [
      plain(dependency.service),
      [colourOf(dependency.state, style)(dependency.state), plain(namesOf(dependency.names))].join("  "),
    ],
  ];
  if (dependency.reason !== undefined) rows.push(["", plain(dependency.reason)]);
  for (const [fact, value] of Object.entries(dependency.facts ?? {}))
    if (!(fact in dependency.names))
      rows.push(["", style.dim(`${plain(fact).replaceAll("_", " ")}: ${plain(String(value))}`)]);
  for (const { item, problem } of dependency.drift ?? [])
    rows.push(["", `${style.red("drift")}  ${plain(item)}: ${plain(problem)}`]);
  return rows;
}

/** A row whose value may need several lines: the label stands at the first. */
function wrapped(label: string, value: string, width: number): string[][] {
  return wrap(value.replaceAll("\n", " "), width)
    .split("\n")
    .map((line, index) => [index === 0 ? label : "", line]);
}
