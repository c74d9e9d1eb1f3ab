import type { RepairView, RotateView } from "../results.ts";
import type { Style } from "../style.ts";
import { plain } from "../text.ts";

/** A rotation for people. */
export function renderRotate(result: RotateView, style: Style): string {
  const mark = result.retired ? style.green("Rotated") : style.yellow("Rotated");
  const old = result.retired ? "the old credentials are ended" : "the old credentials still work too";
  return [
    `${mark} ${style.bold(result.name)} in enclave ${result.enclave}: ${plain(result.rotated.join(", "))}; ${old}`,
    ...result.warnings.map((warning) => `  ${style.yellow("warning:")} ${plain(warning)}`),
    ...(result.retired ? [] : ["", `${style.cyan("next:")} ${plain(result.next)}`]),
  ].join("\n");
}

const interrupted: Readonly<Record<string, string>> = {
  finished: "an interrupted operation was finished",
  undone: "an interrupted operation was undone",
};

/** A repair for people. */
export function renderRepair(result: RepairView, style: Style): string {
  const notes = [interrupted[result.unfinished], result.mended.length === 0 ? "nothing differed" : undefined];
  const what = notes.filter((note) => note !== undefined).join(", ");
  return [
    `${style.green("Repaired")} ${style.bold(result.name)} in enclave ${result.enclave}${what === "" ? "" : `: ${what}`}`,
    ...result.mended.map((item) => `  ${style.green("mended")}   ${plain(item)}`),
    ...result.failed.map(
      ({ item, problem }) => `  ${style.red("failed")}   ${plain(item)}: ${plain(problem)}`,
    ),
    ...(result.workload?.state === "ready" ? [] : ["", `${style.cyan("next:")} ${plain(result.next)}`]),
  ].join("\n");
}
