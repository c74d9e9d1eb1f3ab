import type { HistoryView } from "../results.ts";
import type { Style } from "../style.ts";
import { columns, duration, plain } from "../text.ts";

/** Past operations as aligned columns, newest first. */
export function renderHistory({ name, enclave, history }: HistoryView, style: Style): string {
  if (history.length === 0) return `No operation on ${name} in enclave ${enclave} is remembered`;
  const heads = ["SINCE", "OPERATION", "OUTCOME", "TOOK", "REVISION", "CALLER", "ID"];
  return columns([
    heads.map((head) => style.dim(head)),
    ...history.map(({ since, kind, outcome, ms, revision, caller, id }) => [
      plain(since).replace(/\.\d+Z$/, "Z"),
      plain(kind),
      outcome === "done" ? style.green(outcome) : style.yellow(plain(outcome)),
      duration(ms),
      String(revision),
      plain(caller ?? ""),
      plain(id),
    ]),
  ]);
}
