import type { EnclaveInfoView } from "../results.ts";
import type { Style } from "../style.ts";
import { columns, counted, plain } from "../text.ts";

/** What an author can use: services with their flags and reasons, what is deployed, limits, the guide. */
export function renderEnclaveInfo(info: EnclaveInfoView, style: Style): string {
  const { cluster } = info;
  const where = [cluster.kind, cluster.version].filter((part) => part !== undefined).join(" ");
  const reachable = cluster.available
    ? style.green("available")
    : `${style.red("unavailable")}: ${plain(cluster.reason ?? "no reason given")}`;
  const head = `Enclave ${style.bold(info.enclave)} on ${plain(where)}, ${reachable}`;
  return [
    head,
    columns(serviceRows(info, style)),
    deployed(info),
    ...limits(info, style),
    ...(info.guide.length === 0 ? [] : [info.guide.map(plain).join("\n")]),
  ].join("\n\n");
}

function serviceRows({ exo_services: services }: EnclaveInfoView, style: Style): string[][] {
  const rows = Object.entries(services).map(([name, service]) => {
    const state = !service.enabled
      ? style.dim("not enabled")
      : service.available
        ? style.green("available")
        : style.red("unavailable");
    const why = service.available ? service.summary : (service.reason ?? service.summary);
    return [
      style.bold(plain(name)),
      state,
      plain(service.version ?? "-"),
      plain(service.dependency),
      plain(why),
    ];
  });
  return [["SERVICE", "STATE", "VERSION", "DECLARE AS", "WHAT IT GIVES, OR WHY NOT"].map(style.dim), ...rows];
}

function deployed({ tentacles, next }: EnclaveInfoView): string {
  if (tentacles.length === 0) return "No tentacles yet.";
  const more = next === undefined ? "" : " and more (tntc list)";
  const names = tentacles.map(({ name, state }) => (state === "ready" ? name : `${name} (${state})`));
  return `${counted(tentacles.length, "tentacle")}${more}: ${names.join(", ")}`;
}

function limits({ limits: all }: EnclaveInfoView, style: Style): string[] {
  const rows = Object.entries(all).map(([name, value]) => [
    style.dim(plain(name).replaceAll("_", " ")),
    value.toLocaleString("en"),
  ]);
  return rows.length === 0 ? [] : [`Limits\n${columns(rows, "  ")}`];
}
