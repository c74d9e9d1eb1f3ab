import { counted } from "../../counted.ts";
import type { Issue } from "../../errors.ts";
import { issueLines } from "../failure.ts";
import type { Style } from "../style.ts";
import { plain } from "../text.ts";

interface Valid {
  readonly name: string;
  readonly version: string;
  readonly nodes: readonly string[];
  readonly dependencies: readonly string[];
  readonly warnings: readonly Issue[];
}

/** A tentacle without mistakes, and what its author should know all the same. */
export function renderValid(result: Valid, dir: string, style: Style): string {
  const { nodes, dependencies, warnings } = result;
  const parts = [
    counted(nodes.length, "node"),
    dependencies.length === 0 ? "no dependencies" : dependencies.map(plain).join(", "),
  ];
  return [
    `${style.green("Valid:")} ${style.bold(result.name)} ${plain(result.version)}, ${parts.join(", ")}`,
    ...(warnings.length === 0 ? [] : ["", style.yellow(`${counted(warnings.length, "warning")}:`)]),
    ...warnings.flatMap((issue) => issueLines(issue, style)),
    "",
    `${style.cyan("next:")} tntc deploy${dir === "." ? "" : ` ${dir}`} --dry-run`,
  ].join("\n");
}
