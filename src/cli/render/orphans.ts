import { counted } from "../../counted.ts";
import type { OrphansView } from "../results.ts";
import type { Style } from "../style.ts";
import { ago, columns, plain } from "../text.ts";

/** What is left of tentacles that nobody knows of, a line a service. */
export function renderOrphans(result: OrphansView, style: Style, now = Date.now()): string {
  const { enclave, orphans, unasked, elsewhere } = result;
  const names = new Set(orphans.map(({ name }) => name));
  const rows = orphans.flatMap(({ name, service, items, since }) =>
    items.map((item, index) => [
      style.bold(index === 0 ? plain(name) : ""),
      index === 0 ? plain(service) : "",
      plain(item),
      index === 0 && since !== undefined ? style.dim(ago(since, now)) : "",
    ]),
  );
  const others = elsewhere.map(plain).join(", ");
  return [
    orphans.length === 0
      ? `No orphans in enclave ${enclave}`
      : `${counted(names.size, "tentacle")} in enclave ${enclave} without a release record left this:`,
    ...(rows.length === 0 ? [] : [columns(rows, "  ")]),
    ...unasked.map(({ item, problem }) => `  ${style.red("not asked")}  ${plain(item)}: ${plain(problem)}`),
    ...(orphans.length === 0
      ? []
      : ["", `${style.cyan("next:")} tntc gc -e ${enclave} --force deletes it for good`]),
    ...(elsewhere.length === 0
      ? []
      : [
          "",
          `${style.yellow("elsewhere:")} this cluster has no enclave ${others}, but the services have something of it under this installation's name.`,
          "Unless another cluster uses that name too, look with tntc gc -e <enclave>.",
        ]),
  ].join("\n");
}
