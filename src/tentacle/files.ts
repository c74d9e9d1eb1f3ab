import type { Issue } from "../errors.ts";
import { nearest } from "../nearest.ts";
import { configMapKey } from "./config-map-key.ts";
import { formatBytes, limits } from "./limits.ts";
import { codePath } from "./paths.ts";
import { dotted } from "./problems.ts";
import type { Tentacle } from "./tentacle.ts";

/**
 * What is wrong with the files of a tentacle: a node without its file, unsafe paths, sizes. `workflow` (its text) counts
 * towards the size of all.
 */
export function checkFiles(
  tentacle: Tentacle,
  files: Readonly<Record<string, string>>,
  workflow = "",
): readonly Issue[] {
  const paths = Object.keys(files);
  if (paths.length > limits.files)
    return [
      {
        path: "files",
        message: `the tentacle has ${paths.length} files; at most ${limits.files} are allowed`,
        hint: "Leave out what the nodes do not import.",
      },
    ];
  return [...checkPaths(paths), ...checkSizes(files, workflow), ...checkNodes(tentacle, paths)];
}

function checkPaths(paths: readonly string[]): readonly Issue[] {
  const normal = new Map<string, string>();
  return paths.flatMap((written): readonly Issue[] => {
    const path = `files[${JSON.stringify(written.slice(0, 80))}]`;
    const hint = "Name each file relative to workflow.yaml, for instance nodes/store.ts.";
    const checked = codePath(written);
    if ("problem" in checked) return [{ path, message: `${path} ${checked.problem}`, hint }];
    if (configMapKey(checked.path).length > 253)
      return [{ path, message: `${path} has too long a name`, hint }];
    // Some file systems take no notice of case.
    const key = checked.path.toLowerCase();
    const twin = normal.get(key);
    normal.set(key, written);
    return twin === undefined ? [] : [{ path, message: `${path} is the same file as ${twin}`, hint }];
  });
}

function checkSizes(files: Readonly<Record<string, string>>, workflow: string): readonly Issue[] {
  const issues: Issue[] = [];
  let total = 0;
  for (const [path, source] of Object.entries(files)) {
    const size = Buffer.byteLength(source);
    total += size + Buffer.byteLength(path);
    if (size > limits.fileBytes)
      issues.push({
        path: `files[${JSON.stringify(path)}]`,
        message: `${path} has ${formatBytes(size)}; at most ${formatBytes(limits.fileBytes)} are allowed`,
        hint: "Keep data out of the code: fetch it, or store it in a backing service.",
      });
  }
  // It is kept as it is written and as it is enriched.
  const all = total + 2 * Buffer.byteLength(workflow);
  const over =
    total > limits.codeBytes
      ? { size: total, limit: limits.codeBytes, what: "all files together have" }
      : { size: all, limit: limits.codeAndWorkflowBytes, what: "workflow.yaml and all files together have" };
  if (over.size > over.limit)
    issues.push({
      path: "files",
      message: `${over.what} ${formatBytes(over.size)}; at most ${formatBytes(over.limit)} are allowed`,
      hint: "Leave out what the nodes do not import, or declare a library as a module dependency (npm, jsr).",
    });
  return issues;
}

function checkNodes(tentacle: Tentacle, paths: readonly string[]): readonly Issue[] {
  const present = new Set(
    paths.flatMap((path) => {
      const checked = codePath(path);
      return "path" in checked ? [checked.path] : [];
    }),
  );
  const missing = Object.entries(tentacle.nodes).filter(([, node]) => !present.has(node.path));
  return missing.slice(0, limits.issues).map(([name, node]) => {
    const near = nearest(node.path, [...present]);
    const path = dotted(["nodes", name, "path"]);
    return {
      path,
      message: `${path}: there is no file ${node.path}`,
      ...(near === undefined
        ? { hint: "Add the file beside workflow.yaml, or correct the path." }
        : {
            hint: `Did you mean ${near}?`,
            fix: [{ op: "set", path: ["nodes", name, "path"], value: near }],
          }),
    };
  });
}

/** The same files under their normalised paths. Only for files that `checkFiles` accepts. */
export function normalFiles(files: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(files).map(([written, source]) => {
      const checked = codePath(written);
      return ["path" in checked ? checked.path : written, source];
    }),
  );
}
