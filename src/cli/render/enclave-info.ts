import { counted } from "../../counted.ts";
import type { EnclaveInfoView } from "../results.ts";
import type { Style } from "../style.ts";
import { columns, plain, wrap } from "../text.ts";

const indent = "  ";

/** What an author can use: services with their flags and reasons, what is deployed, limits, the guide. */
export function renderEnclaveInfo(info: EnclaveInfoView, style: Style, width = Infinity): string {
  const { cluster, guide } = info;
  const where = [cluster.kind, cluster.version].filter((part) => part !== undefined).join(" ");
  const reachable = cluster.available
    ? style.green("available")
    : `${style.red("unavailable")}: ${plain(cluster.reason ?? "no reason given")}`;
  return [
    `Enclave ${style.bold(info.enclave)} on ${plain(where)}, ${reachable}`,
    services(info, style, width),
    deployed(info),
    ...limits(info, style),
    ...(guide.length === 0
      ? []
      : [guide.map((line) => `- ${wrap(plain(line), width, indent).trimStart()}`).join("\n")]),
  ].join("\n\n");
}

/** A line a service, and below it what it gives or why it cannot be used. */
function services({ exo_services: all }: EnclaveInfoView, style: Style, width: number): string {
  const entries = Object.entries(all);
  const [head = "", ...rows] = columns([
    ["SERVICE", "STATE", "VERSION", "DECLARE AS"].map(style.dim),
    ...entries.map(([name, service]) => [
      style.bold(plain(name)),
      state(service, style),
      plain(service.version ?? "-"),
      plain(service.dependency),
    ]),
  ]).split("\n");
  const below = entries.map(([, { available, summary, reason, since }]) => {
    const why = (reason ?? summary).replace(/^not enabled: /, "");
    const text = available ? summary : since === undefined ? why : `since ${since}: ${why}`;
    return text === "" ? [] : wrap(plain(text), width, indent).split("\n").map(style.dim);
  });
  return [head, ...rows.flatMap((row, index) => [row, ...(below[index] ?? [])])].join("\n");
}

function state({ enabled, available }: EnclaveInfoView["exo_services"][string], style: Style): string {
  if (!enabled) return style.dim("not enabled");
  return available ? style.green("available") : style.red("unavailable");
}

function deployed({ tentacles, next }: EnclaveInfoView): string {
  if (tentacles.length === 0) return "No tentacles yet.";
  const more = next === undefined ? "" : " and more (tntc list)";
  const names = tentacles.map(({ name, state }) => (state === "ready" ? name : `${name} (${state})`));
  return `${counted(tentacles.length, "tentacle")}${more}: ${names.join(", ")}`;
}

function limits({ limits: all }: EnclaveInfoView, style: Style): string[] {
  const rows = Object.entries(all).map(([name, value]) => {
    const words = plain(name)
      .replaceAll("_", " ")
      .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
    const shown =
      words.endsWith(" bytes") && value % 1024 === 0 ? `${value / 1024} KiB` : value.toLocaleString("en");
    return [style.dim(words.replace(/ bytes$/, "")), shown];
  });
  return rows.length === 0 ? [] : [`Limits\n${columns(rows, indent)}`];
}
