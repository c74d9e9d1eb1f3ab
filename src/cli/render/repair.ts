import type { ErrorReport } from "../../errors.ts";
import { inCommands } from "../in-commands.ts";
import type { RepairAllView, RepairView, RotateView } from "../results.ts";
import type { Style } from "../style.ts";
import { plain } from "../text.ts";

/** A rotation for people. */
export function renderRotate(result: RotateView, style: Style): string {
  const mark = result.retired ? style.green("Rotated") : style.yellow("Rotated");
  const old = result.retired ? "the old credentials are ended" : "the old credentials still work too";
  return [
    `${mark} ${style.bold(result.name)} in enclave ${result.enclave}: ${plain(result.rotated.join(", "))}; ${old}`,
    ...result.warnings.map((warning) => `  ${style.yellow("warning:")} ${plain(warning)}`),
    ...(result.retired ? [] : ["", `${style.cyan("next:")} ${plain(inCommands(result.next))}`]),
  ].join("\n");
}

/** A rotation among others that did not come about. */
export function renderNotRotated(name: string, { message, hint }: ErrorReport, style: Style): string {
  const what = `${style.red("Not rotated:")} ${style.bold(name)}: ${plain(message)}`;
  return hint === "" ? what : `${what}\n  ${style.cyan("hint:")} ${plain(hint)}`;
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
    ...partLines(result, style),
    ...(result.workload?.state === "ready"
      ? []
      : ["", `${style.cyan("next:")} ${plain(inCommands(result.next))}`]),
  ].join("\n");
}

/** A repair of a whole enclave for people: only what was mended, or failed. */
export function renderRepairAll({ enclave, tentacles, next }: RepairAllView, style: Style): string {
  const isWhole = tentacles.every(({ failed }) => failed.length === 0);
  return [
    `${style.green("Repaired")} enclave ${style.bold(enclave)}${tentacles.length === 0 ? ": nothing differed" : ""}`,
    ...tentacles.flatMap((one) => {
      const what = interrupted[one.unfinished];
      return [`${style.bold(one.name)}${what === undefined ? "" : `: ${what}`}`, ...partLines(one, style)];
    }),
    ...(isWhole ? [plain(next)] : ["", `${style.cyan("next:")} ${plain(next)}`]),
  ].join("\n");
}

function partLines({ mended, failed }: Pick<RepairView, "mended" | "failed">, style: Style): string[] {
  return [
    ...mended.map((item) => `  ${style.green("mended")}   ${plain(item)}`),
    ...failed.map(({ item, problem }) => `  ${style.red("failed")}   ${plain(item)}: ${plain(problem)}`),
  ];
}
