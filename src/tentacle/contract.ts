import { readDependency } from "./dependencies.ts";
import { checkShape, dotted, isRecord, type Path, type Problems, quoted } from "./problems.ts";
import { contractShape } from "./shape.ts";
import type { Contract, ContractDependency, FilledDependency } from "./tentacle.ts";
import { textOf } from "./text.ts";
import { entryOf, valueOf, type YamlNode } from "./yaml.ts";

export interface ReadContract {
  readonly contract: Contract;
  /** What managed dependencies were filled in with, in the enriched form. */
  readonly filled: Readonly<Record<string, FilledDependency>>;
  /** Names under contract.dependencies, those with problems included. */
  readonly declared: ReadonlySet<string>;
}

const NONE: ReadContract = {
  contract: { version: "1", dependencies: {}, networkPolicy: {}, extensions: {} },
  filled: {},
  declared: new Set(),
};

/** Reads the contract; without one the tentacle may touch nothing outside. */
export function readContract(
  problems: Problems,
  node: YamlNode | undefined,
  form: "author" | "enriched",
): ReadContract {
  const value = node === undefined ? null : valueOf(node);
  if (
    value === null ||
    checkShape(problems, ["contract"], contractShape, value) === undefined ||
    !isRecord(value)
  )
    return NONE;
  checkVersion(problems, textOf(node, "version"));
  const path = ["contract", "dependencies"];
  const list = entryOf(node, "dependencies")?.value;
  const dependencies: [string, ContractDependency][] = [];
  const filled: [string, FilledDependency][] = [];
  const declared = new Set<string>();
  for (const { key, value: entry } of entriesOf(problems, path, list)) {
    declared.add(key.text);
    const found = readDependency(problems, [...path, key.text], key.text, entry, form);
    if (found === undefined) continue;
    dependencies.push([key.text, found.dependency]);
    if (found.filled !== undefined) filled.push([key.text, found.filled]);
    // Splicing an entry that an alias shows a second time would change the other place too.
    if (found.dependency.kind === "managed" && (node?.decorated === true || list?.decorated === true))
      problems.error(
        path,
        `${dotted(path)} holds managed dependencies and takes no anchor, alias or tag`,
        "Write contract and dependencies out.",
      );
  }
  return {
    contract: {
      version: "1",
      dependencies: Object.fromEntries(dependencies),
      networkPolicy: isRecord(value.networkPolicy) ? value.networkPolicy : {},
      extensions: isRecord(value.extensions) ? value.extensions : {},
    },
    filled: Object.fromEntries(filled),
    declared,
  };
}

function entriesOf(problems: Problems, path: Path, list: YamlNode | undefined) {
  if (list?.kind === "map") return list.entries;
  if (list !== undefined && !(list.kind === "scalar" && list.value === null))
    problems.error(
      path,
      `${dotted(path)} must be a mapping of names to dependencies`,
      "Write each dependency as  name: { protocol: https, host: api.example.com }",
    );
  return [];
}

function checkVersion(problems: Problems, version: string | undefined): void {
  const path = ["contract", "version"];
  if (version === undefined)
    problems.warn(path, 'contract.version is missing; "1" is assumed', 'Write  version: "1"');
  else if (version !== "1")
    problems.error(
      path,
      `contract.version ${quoted(version)} is not known to this Tentacular`,
      'Write  version: "1"',
      [{ op: "set", path, value: "1" }],
    );
}
