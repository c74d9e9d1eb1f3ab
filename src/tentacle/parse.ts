import type { Issue } from "../errors.ts";
import { InvalidInput } from "../errors.ts";
import { readContract } from "./contract.ts";
import { without } from "./dependencies.ts";
import { labelLike, labelProblem } from "./identity.ts";
import { EMPTY } from "./managed.ts";
import { checkShape, createProblems, isRecord, type Problems, quoted } from "./problems.ts";
import { readConfig, readEdges, readNodes, readSidecars } from "./sections.ts";
import { deploymentShape, metadataShape, topShape } from "./shape.ts";
import type { FilledDependency, Tentacle } from "./tentacle.ts";
import { itemsOf, textOf, textsOf } from "./text.ts";
import { readTrigger } from "./triggers.ts";
import { authorForm, enrichedForm, entryOf, parseYaml, valueOf, type YamlNode } from "./yaml.ts";

export { checkManaged } from "./managed.ts";

/** A checked workflow.yaml, and what its author should know though nothing is wrong. */
export interface ParsedWorkflow {
  readonly tentacle: Tentacle;
  readonly warnings: readonly Issue[];
}

/**
 * Reads workflow.yaml as an author writes it. Throws one InvalidInput whose `issues` are all problems, each with path,
 * line, column and what to write instead.
 */
export function parseWorkflow(text: string): ParsedWorkflow {
  const { tentacle, warnings } = read(text, "author");
  return { tentacle, warnings };
}

/** Reads workflow.yaml as deploying wrote it: managed dependencies filled in. */
export function parseEnriched(text: string): {
  readonly tentacle: Tentacle;
  readonly filled: Readonly<Record<string, FilledDependency>>;
} {
  const { tentacle, filled } = read(text, "enriched");
  return { tentacle, filled };
}

/** The names that a workflow.yaml of any quality gives itself, as written; none where it cannot be read. */
export function declaredNames(text: string): { readonly enclave?: string; readonly name?: string } {
  try {
    const { root } = parseYaml(text, authorForm);
    const deployment = entryOf(root, "deployment")?.value;
    return {
      name: textOf(root, "name"),
      enclave: textOf(deployment, "enclave") ?? textOf(deployment, "namespace"),
    };
  } catch (error) {
    if (error instanceof InvalidInput) return {};
    throw error;
  }
}

function read(
  text: string,
  form: "author" | "enriched",
): ParsedWorkflow & { readonly filled: Readonly<Record<string, FilledDependency>> } {
  const document = parseYaml(text, form === "author" ? authorForm : enrichedForm);
  const { root } = document;
  if (root.kind !== "map")
    throw new InvalidInput(
      root.kind === "scalar" && root.value === null
        ? "workflow.yaml is empty"
        : "workflow.yaml is no mapping of keys to values",
      { hint: "Begin with `name: my-tentacle`; docs/workflow.md has the whole form." },
    );
  const problems = createProblems(document);
  checkShape(problems, [], topShape, valueOf(root));
  const section = (key: string): YamlNode | undefined => entryOf(root, key)?.value;

  const name = readName(problems, root);
  const enclave = readEnclave(problems, section("deployment"));
  const { nodes, names } = readNodes(problems, section("nodes"));
  const edges = readEdges(problems, section("edges"), names);
  const triggers = itemsOf(section("triggers")).flatMap((node, index) => {
    const owner = { ...(name !== undefined && { name }), ...(enclave !== undefined && { enclave }) };
    const trigger = readTrigger(problems, ["triggers", index], node, valueOf(node), owner);
    return trigger === undefined ? [] : [trigger];
  });
  const { contract, filled, declared } = readContract(problems, section("contract"), form);
  const queue = triggers.findIndex((trigger) => trigger.type === "queue");
  if (queue !== -1 && !declared.has("tentacular-nats"))
    problems.error(
      ["triggers", queue],
      "a queue trigger listens on NATS, and contract.dependencies has no tentacular-nats",
      "Add  tentacular-nats:  to contract.dependencies.",
      [{ op: "set", path: ["contract", "dependencies", "tentacular-nats"], value: EMPTY }],
    );
  const config = readConfig(problems, section("config"));
  const sidecars = readSidecars(problems, section("sidecars"));
  const { metadata, extra } = readMetadata(problems, section("metadata"));
  const description = textOf(root, "description");
  problems.throwIfAny();
  const tentacle: Tentacle = {
    name: name ?? "",
    version: textOf(root, "version") ?? "",
    ...(description !== undefined && { description }),
    metadata,
    triggers,
    nodes,
    edges,
    config,
    ...(enclave !== undefined && { enclave }),
    sidecars,
    contract,
    extra: { ...unknownKeys(root), ...(Object.keys(extra).length > 0 && { metadata: extra }) },
  };
  return { tentacle, warnings: problems.warnings, filled };
}

function readName(problems: Problems, root: YamlNode): string | undefined {
  const name = textOf(root, "name");
  if (name === undefined) return undefined;
  const problem = labelProblem(name);
  // A Service is named after the tentacle, and a Service's name begins with a letter.
  const digit = /^\d/.test(name) ? "must begin with a letter" : undefined;
  const like = labelLike(name);
  if (problem !== undefined || digit !== undefined)
    problems.error(
      ["name"],
      `name ${quoted(name)} ${problem ?? digit ?? ""}`,
      `Write for instance  name: ${like ?? "my-tentacle"}`,
      like === undefined ? undefined : [{ op: "set", path: ["name"], value: like }],
    );
  return name;
}

function readEnclave(problems: Problems, node: YamlNode | undefined): string | undefined {
  const value = node === undefined ? null : valueOf(node);
  if (value === null || checkShape(problems, ["deployment"], deploymentShape, value) === undefined)
    return undefined;
  const [enclave, namespace] = [textOf(node, "enclave"), textOf(node, "namespace")];
  if (enclave !== undefined && namespace !== undefined && enclave !== namespace)
    problems.error(
      ["deployment", "namespace"],
      `deployment.namespace ${quoted(namespace)} is another name than deployment.enclave ${quoted(enclave)}`,
      "They mean the same: keep one.",
    );
  const key = enclave === undefined ? "namespace" : "enclave";
  const chosen = enclave ?? namespace;
  const problem = chosen === undefined ? undefined : labelProblem(chosen);
  if (problem !== undefined)
    problems.error(
      ["deployment", key],
      `deployment.${key} ${quoted(chosen)} ${problem}`,
      `Write for instance  ${key}: team-a`,
    );
  return chosen;
}

function readMetadata(
  problems: Problems,
  node: YamlNode | undefined,
): { readonly metadata: Tentacle["metadata"]; readonly extra: Readonly<Record<string, unknown>> } {
  const value = node === undefined ? null : valueOf(node);
  if (!isRecord(value)) {
    if (value !== null) checkShape(problems, ["metadata"], metadataShape, value);
    return { metadata: { tags: [] }, extra: {} };
  }
  checkShape(problems, ["metadata"], metadataShape, value, { open: true });
  const [group, environment] = [textOf(node, "group"), textOf(node, "environment")];
  return {
    metadata: {
      ...(group !== undefined && { group }),
      ...(environment !== undefined && { environment }),
      tags: textsOf(node, "tags"),
    },
    extra: without(value, ["group", "environment", "tags"]),
  };
}

function unknownKeys(root: YamlNode): Readonly<Record<string, unknown>> {
  const value = valueOf(root);
  return isRecord(value) ? without(value, Object.keys(topShape.shape)) : {};
}
