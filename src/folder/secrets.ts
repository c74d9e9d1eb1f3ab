import { opendir, stat } from "node:fs/promises";
import { join } from "node:path";
import { InvalidInput } from "../errors.ts";
import { type AuthorSecrets, checkSecretNames, parseSecret } from "../tentacle/author-secrets.ts";
import { limits } from "../tentacle/limits.ts";
import { parseYaml, type YamlNode } from "../tentacle/yaml.ts";
import { readText } from "./read-text.ts";

const FILE = ".secrets.yaml";
const FOLDER = ".secrets";
const FORM = "Write  service: { key: value }  with each value in quotes.";

/** The author's secrets beside workflow.yaml: `.secrets.yaml`, and a file a service in `.secrets/`. */
export async function readSecrets(root: string): Promise<AuthorSecrets> {
  const fromFile = (await exists(root, FILE)) ? await readSecretsFile(root) : {};
  const fromFolder = (await exists(root, FOLDER)) ? await readSecretsFolder(root) : {};
  const twice = Object.keys(fromFolder).find((service) => Object.hasOwn(fromFile, service));
  if (twice !== undefined)
    throw new InvalidInput(`the secret ${twice} stands in ${FILE} and in ${FOLDER}/`, {
      hint: "Keep one of them.",
    });
  const secrets = { ...fromFile, ...fromFolder };
  const [problem] = checkSecretNames(secrets);
  if (problem !== undefined)
    throw new InvalidInput(problem.message, { hint: problem.hint, path: problem.path, issues: [problem] });
  return secrets;
}

async function exists(root: string, name: string): Promise<boolean> {
  return (await stat(join(root, name)).catch(() => undefined)) !== undefined;
}

async function readSecretsFile(root: string): Promise<AuthorSecrets> {
  const text = await readText(root, FILE, limits.secretsBytes);
  const document = parseYaml(text, {
    name: FILE,
    maxBytes: limits.secretsBytes,
    maxKeys: limits.yamlKeys,
    secret: true,
  });
  const { root: tree } = document;
  if (tree.kind === "scalar" && tree.value === null) return {};
  if (tree.kind !== "map") throw new InvalidInput(`${FILE} is no mapping of services`, { hint: FORM });
  return Object.fromEntries(
    tree.entries.map(({ key, value }) => {
      const secret = secretOf(value);
      if (secret !== undefined) return [key.text, secret] as const;
      const service = key.text.slice(0, 80);
      throw new InvalidInput(`${FILE}: ${service} is neither a text nor a mapping of texts`, {
        path: service,
        hint: FORM,
      });
    }),
  );
}

/** Values are taken as written: a code of `0123` keeps its zero. */
function secretOf(node: YamlNode): Readonly<Record<string, string>> | string | undefined {
  if (node.kind === "scalar") return node.value === null ? undefined : node.text;
  if (node.kind !== "map") return undefined;
  const entries = node.entries.flatMap(({ key, value }): readonly (readonly [string, string])[] =>
    value.kind === "scalar" && value.value !== null ? [[key.text, value.text]] : [],
  );
  return entries.length === node.entries.length ? Object.fromEntries(entries) : undefined;
}

async function readSecretsFolder(root: string): Promise<AuthorSecrets> {
  const secrets: [string, Readonly<Record<string, string>> | string][] = [];
  let room: number = limits.secretsBytes;
  if (!(await stat(join(root, FOLDER))).isDirectory())
    throw new InvalidInput(`${FOLDER} is no folder`, { hint: `Name the file ${FILE}. ${FORM}` });
  for await (const entry of await opendir(join(root, FOLDER))) {
    if (entry.name.startsWith(".") || entry.isDirectory()) continue;
    if (secrets.length >= limits.files)
      throw new InvalidInput(`${FOLDER}/ has more than ${limits.files} files`, {
        hint: "Write one file a service.",
      });
    const text = await readText(root, `${FOLDER}/${entry.name}`, room);
    room -= Math.min(room, Buffer.byteLength(text));
    // Editors end a file with a newline; it is no part of the secret.
    secrets.push([entry.name.replace(/\.(?:json|txt)$/, ""), parseSecret(text.replace(/\r?\n$/, ""))]);
  }
  return Object.fromEntries(secrets.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
