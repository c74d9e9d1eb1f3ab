import { without } from "./dependencies.ts";
import { parseDuration } from "./duration.ts";
import { findCycle } from "./graph.ts";
import { labelProblem } from "./identity.ts";
import { codePath } from "./paths.ts";
import { ENGINE_PORT, WEBHOOK_PORT } from "./ports.ts";
import { checkShape, dotted, isRecord, type Problems, quoted, suggest } from "./problems.ts";
import { configShape, edgeShape, nodeShape, sidecarShape } from "./shape.ts";
import type { Node, Sidecar, Tentacle, TentacleConfig } from "./tentacle.ts";
import { itemsOf, textOf, textsOf } from "./text.ts";
import { entryOf, valueOf, type YamlNode } from "./yaml.ts";

const NODE_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;
const DEFAULT_TIMEOUT_MS = 30_000;

/** Reads the nodes; `names` are all that are declared, those with problems included. */
export function readNodes(
  problems: Problems,
  section: YamlNode | undefined,
): { readonly nodes: Readonly<Record<string, Node>>; readonly names: readonly string[] } {
  if (section?.kind !== "map" || section.entries.length === 0) {
    const missing =
      section === undefined ||
      (section.kind === "scalar" && section.value === null) ||
      section.kind === "map";
    problems.error(
      ["nodes"],
      missing ? "nodes is missing: a tentacle has at least one" : "nodes must be a mapping of names to nodes",
      "Write  nodes: { hello: { path: nodes/hello.ts } }",
    );
    return { nodes: {}, names: [] };
  }
  const nodes = section.entries.flatMap(({ key, value }): readonly (readonly [string, Node])[] => {
    const node = readNode(problems, key.text, value);
    return node === undefined ? [] : [[key.text, node]];
  });
  return { nodes: Object.fromEntries(nodes), names: section.entries.map((entry) => entry.key.text) };
}

function readNode(problems: Problems, name: string, node: YamlNode): Node | undefined {
  const path = ["nodes", name];
  if (!NODE_NAME.test(name)) {
    problems.error(
      path,
      `nodes has the name ${quoted(name)}: a letter, then at most 62 letters, digits, '-' or '_'`,
      "Choose a name such as fetch-orders.",
    );
    return undefined;
  }
  if (checkShape(problems, path, nodeShape, valueOf(node)) === undefined) return undefined;
  const written = textOf(node, "path") ?? "";
  const checked = codePath(written);
  if ("problem" in checked) {
    problems.error(
      [...path, "path"],
      `${dotted(path)}.path ${quoted(written)} ${checked.problem}`,
      `Write a file below the folder of workflow.yaml, for instance  path: nodes/${name}.ts`,
    );
    return undefined;
  }
  const description = textOf(node, "description");
  if (description === undefined)
    problems.warn(
      path,
      `${dotted(path)} has no description`,
      "One line on what the node does helps people and agents.",
    );
  return {
    path: checked.path,
    ...(description !== undefined && { description }),
    capabilities: readCapabilities(node),
  };
}

/** A list, one text, or a mapping such as `net: github.com` as files in the wild have it. */
function readCapabilities(node: YamlNode): readonly string[] {
  const value = entryOf(node, "capabilities")?.value;
  if (value?.kind !== "map") return textsOf(node, "capabilities");
  return value.entries.map(({ key, value: item }) =>
    item.kind === "scalar" && item.value !== null ? `${key.text}:${item.text}` : key.text,
  );
}

/** Reads the edges, names unknown nodes and prints a cycle as a path. */
export function readEdges(
  problems: Problems,
  section: YamlNode | undefined,
  names: readonly string[],
): Tentacle["edges"] {
  const known = new Set(names);
  const seen = new Set<string>();
  const edges = itemsOf(section).flatMap((item, index) => {
    const path = ["edges", index];
    if (checkShape(problems, path, edgeShape, valueOf(item)) === undefined) return [];
    const [from, to] = [textOf(item, "from") ?? "", textOf(item, "to") ?? ""];
    let good = true;
    for (const [key, name] of [
      ["from", from],
      ["to", to],
    ] as const) {
      if (known.has(name)) continue;
      good = false;
      const at = [...path, key];
      problems.error(at, `${dotted(at)} names no node: ${quoted(name)}`, () =>
        suggest(at, name, names, `Nodes: ${names.slice(0, 50).join(", ")}.`),
      );
    }
    const key = `${from} ${to}`;
    if (seen.has(key)) problems.warn(path, `${dotted(path)} repeats ${from} -> ${to}`, "Remove one of them.");
    if (!good || seen.has(key)) return [];
    seen.add(key);
    return [{ from, to }];
  });
  const cycle = findCycle({ nodes: names, edges });
  if (cycle !== undefined) {
    const circle = new Set(cycle.slice(1).map((to, index) => `${cycle[index] ?? ""} ${to}`));
    // The one written last: mostly the step back that should not be there.
    const at = itemsOf(section).findLastIndex((item) =>
      circle.has(`${textOf(item, "from") ?? ""} ${textOf(item, "to") ?? ""}`),
    );
    const last = ["edges", at];
    problems.error(
      last,
      `edges go in a circle: ${cycle.length > 20 ? [...cycle.slice(0, 20), "…"].join(" -> ") : cycle.join(" -> ")}`,
      `Remove one of these edges, for instance ${dotted(last)}: a node cannot wait for itself.`,
      [{ op: "remove", path: last }],
    );
  }
  return edges;
}

/** Reads config; everything in it is kept for the nodes. */
export function readConfig(problems: Problems, section: YamlNode | undefined): TentacleConfig {
  const value = section === undefined ? null : valueOf(section);
  const none: TentacleConfig = { timeoutMs: DEFAULT_TIMEOUT_MS, retries: 0, values: {} };
  if (value === null) return none;
  const shaped = checkShape(problems, ["config"], configShape, value, { open: true });
  if (!isRecord(value)) return none;
  const written = textOf(section, "timeout");
  const timeoutMs = written === undefined ? DEFAULT_TIMEOUT_MS : parseDuration(written);
  if (timeoutMs === undefined)
    problems.error(
      ["config", "timeout"],
      `config.timeout ${quoted(written)} is no duration above 0 and up to 24h`,
      "Write 500ms, 30s, 2m, 1h or a number of seconds.",
    );
  return { timeoutMs: timeoutMs ?? DEFAULT_TIMEOUT_MS, retries: shaped?.retries ?? 0, values: value };
}

/** Reads the sidecars. */
export function readSidecars(problems: Problems, section: YamlNode | undefined): readonly Sidecar[] {
  const names = new Set<string>(["engine"]);
  return itemsOf(section).flatMap((item, index) => {
    const path = ["sidecars", index];
    const value = valueOf(item);
    const shaped = checkShape(problems, path, sidecarShape, value, { open: true });
    if (shaped === undefined || !isRecord(value)) return [];
    const [name, image] = [textOf(item, "name") ?? "", textOf(item, "image") ?? ""];
    const problem = names.has(name) ? "is taken" : labelProblem(name);
    if (problem !== undefined)
      problems.error(
        [...path, "name"],
        `${dotted(path)}.name ${quoted(name)} ${problem}`,
        "Write another DNS-1123 label, for instance  name: pandoc",
      );
    const badImage = !/^[A-Za-z0-9][A-Za-z0-9._/:@-]{0,500}$/.test(image);
    if (badImage)
      problems.error(
        [...path, "image"],
        `${dotted(path)}.image ${quoted(image)} is no image reference`,
        "Write for instance  image: pandoc/core:3.6",
      );
    const taken = shaped.port === ENGINE_PORT || shaped.port === WEBHOOK_PORT;
    if (taken)
      problems.error(
        [...path, "port"],
        `${dotted(path)}.port ${shaped.port} is one that the engine listens on in the same pod`,
        `Let it listen on another one than ${ENGINE_PORT} and ${WEBHOOK_PORT}, for instance  port: 3030`,
      );
    if (problem !== undefined || badImage || taken) return [];
    names.add(name);
    return [
      {
        name,
        image,
        ...(typeof shaped.port === "number" && { port: shaped.port }),
        extra: without(value, ["name", "image", "port"]),
      },
    ];
  });
}
