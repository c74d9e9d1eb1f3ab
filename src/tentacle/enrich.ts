import { isDeepStrictEqual } from "node:util";
import { dump } from "js-yaml";
import { InvalidInput } from "../errors.ts";
import { EMPTY, isManagedName } from "./managed.ts";
import { isRecord } from "./problems.ts";
import type { FilledDependency } from "./tentacle.ts";
import {
  authorForm,
  enrichedForm,
  entryOf,
  parseYaml,
  positionAt,
  valueOf,
  type YamlEntry,
  type YamlMap,
  type YamlValue,
} from "./yaml.ts";

/** Replace `text.slice(start, end)` by `insert`. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly insert: string;
}

/**
 * Fills managed dependencies in. Only their entries change, and they only gain: every other byte of the text, comments,
 * order and spacing included, stays as it is. The result is parsed again and compared before it is returned.
 */
export function enrichWorkflow(text: string, filled: Readonly<Record<string, FilledDependency>>): string {
  const { root } = parseYaml(text, authorForm);
  const list = entryOf(entryOf(root, "contract")?.value, "dependencies")?.value;
  if (list?.kind !== "map") return text;
  const entries = list.entries.filter(
    ({ key }) => isManagedName(key.text) && Object.hasOwn(filled, key.text),
  );
  const additions = new Map(
    entries.map((entry) => [entry.key.text, additionsOf(text, entry, filled[entry.key.text])] as const),
  );
  const edits = entries.flatMap((entry) => editsOf(text, list, entry, additions.get(entry.key.text) ?? {}));
  const enriched = applyEdits(text, edits);
  if (edits.length > 0) verify(text, enriched, additions);
  return enriched;
}

type Additions = Readonly<Record<string, YamlValue>>;

/** What `entry` gains, in the order to write it. Refuses to write over anything. */
function additionsOf(text: string, entry: YamlEntry, filled: FilledDependency | undefined): Additions {
  if (filled === undefined) return {};
  const name = entry.key.text;
  const written = entry.value.kind === "map" ? entry.value.entries.map(({ key }) => key.text) : [];
  const { protocol, fields, auth } = filled;
  const all: Additions = {
    protocol,
    ...fields,
    ...(auth !== undefined && { auth: { type: auth.type, secret: auth.secret } }),
  };
  const taken = written.find((key) => key !== "protocol" && Object.hasOwn(all, key));
  if (taken !== undefined) {
    const path = `contract.dependencies.${name}.${taken}`;
    throw new InvalidInput(`${path} is filled in by deploying and must not be written`, {
      path,
      hint: `Remove ${taken}: the name ${name} alone is enough.`,
      issues: [
        {
          path,
          message: `${path} must not be written`,
          hint: `Remove ${taken}.`,
          fix: [{ op: "remove", path: ["contract", "dependencies", name, taken] }],
          ...positionAt(text, entry.key.start),
        },
      ],
    });
  }
  return Object.fromEntries(Object.entries(all).filter(([key]) => !written.includes(key)));
}

function editsOf(text: string, list: YamlMap, entry: YamlEntry, additions: Additions): readonly Edit[] {
  if (Object.keys(additions).length === 0) return [];
  const { value } = entry;
  if (value.kind === "map") return [growMap(text, value, additions)];
  if (value.kind !== "scalar" || value.value !== null || value.decorated) throw unfit(text, entry);
  return list.flow
    ? [fillFlow(text, entry, value, additions)]
    : fillBlock(text, list, entry, value, additions);
}

/** Adds to a mapping that is there: after its protocol, else before its first key. */
function growMap(text: string, map: YamlMap, additions: Additions): Edit {
  const protocol = entryOf(map, "protocol")?.value;
  const after = protocol?.kind === "scalar" ? protocol.end : undefined;
  const first = map.entries[0]?.key.start;
  if (map.flow) {
    const items = flowItems(additions);
    if (after !== undefined) return insertAt(after, `, ${items}`);
    return first === undefined ? insertAt(map.start + 1, items) : insertAt(first, `${items}, `);
  }
  const start = lineStart(text, map.start);
  const lines = blockLines(additions, " ".repeat(map.start - start), newlineOf(text, map.start));
  return after === undefined ? insertAt(start, lines) : insertLinesAfter(text, after, lines);
}

/** In `{ tentacular-postgres: , … }`, with or without the colon, or with a written null. */
function fillFlow(
  text: string,
  entry: YamlEntry,
  value: { readonly start: number; readonly end: number },
  additions: Additions,
): Edit {
  const insert = `{${flowItems(additions)}}`;
  if (value.end > value.start) return { start: value.start, end: value.end, insert };
  const colon = matchAt(/\s*:/y, text, entry.key.end);
  return colon === undefined ? insertAt(entry.key.end, `: ${insert}`) : insertAt(colon, ` ${insert}`);
}

/** On a line of its own: a written null goes, its line's comment stays, and the block follows below. */
function fillBlock(
  text: string,
  list: YamlMap,
  entry: YamlEntry,
  value: { readonly start: number; readonly end: number },
  additions: Additions,
): readonly Edit[] {
  const start = lineStart(text, entry.key.start);
  const indent = entry.key.start - start;
  const step = Math.min(8, Math.max(1, indent - indentOfParent(text, list)));
  const lines = blockLines(additions, " ".repeat(indent + step), newlineOf(text, entry.key.start));
  if (value.end === value.start) return [insertLinesAfter(text, entry.key.end, lines)];
  const colon = matchAt(/[ \t]*:/y, text, entry.key.end) ?? value.start;
  const gap = /^[ \t]*$/.test(text.slice(colon, value.start)) ? colon : value.start;
  return [{ start: gap, end: value.end, insert: "" }, insertLinesAfter(text, value.end, lines)];
}

/** Indentation of the line above a block mapping that holds its key, so that new lines are indented like their neighbours. */
function indentOfParent(text: string, list: YamlMap): number {
  const above = text.slice(0, lineStart(text, list.start)).split("\n");
  const parent = above.findLast((line) => /^\s*[^\s#]/.test(line)) ?? "";
  return parent.length - parent.trimStart().length;
}

function blockLines(additions: Additions, indent: string, newline: string): string {
  const lines = dump(additions, { lineWidth: -1 }).trimEnd().split("\n");
  return lines.map((line) => `${indent}${line}${newline}`).join("");
}

function flowItems(additions: Additions): string {
  return dump(additions, { lineWidth: -1, flowLevel: 0, quoteStyle: "double" }).trim().slice(1, -1);
}

function insertAt(offset: number, insert: string): Edit {
  return { start: offset, end: offset, insert };
}

/** After the line that `offset` is on; a text without a newline at its end keeps none. */
function insertLinesAfter(text: string, offset: number, lines: string): Edit {
  if (offset > 0 && text[offset - 1] === "\n") return insertAt(offset, lines);
  const newline = text.indexOf("\n", offset);
  if (newline !== -1) return insertAt(newline + 1, lines);
  const eol = lines.endsWith("\r\n") ? "\r\n" : "\n";
  return insertAt(text.length, eol + lines.slice(0, -eol.length));
}

function lineStart(text: string, offset: number): number {
  const start = offset === 0 ? 0 : text.lastIndexOf("\n", offset - 1) + 1;
  return start === 0 && text.startsWith("\uFEFF") ? 1 : start;
}

function newlineOf(text: string, offset: number): string {
  const here = text.indexOf("\n", offset);
  const newline = here === -1 ? text.indexOf("\n") : here;
  return newline > 0 && text[newline - 1] === "\r" ? "\r\n" : "\n";
}

function matchAt(pattern: RegExp, text: string, offset: number): number | undefined {
  pattern.lastIndex = offset;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

function applyEdits(text: string, edits: readonly Edit[]): string {
  let result = "";
  let position = 0;
  for (const edit of edits.toSorted((a, b) => a.start - b.start)) {
    result += text.slice(position, edit.start) + edit.insert;
    position = edit.end;
  }
  return result + text.slice(position);
}

/** The enriched text must mean the author's text plus the additions, and nothing else. */
function verify(text: string, enriched: string, additions: ReadonlyMap<string, Additions>): void {
  const before = parseYaml(text, authorForm).root;
  const contract = valueOf(before);
  const expected = mapAt(contract, ["contract", "dependencies"], (dependencies) =>
    Object.fromEntries(
      Object.entries(dependencies).map(([name, value]) => {
        const gained = additions.get(name);
        return [name, gained === undefined ? value : { ...(isRecord(value) && value), ...gained }];
      }),
    ),
  );
  let after: unknown;
  try {
    after = valueOf(parseYaml(enriched, enrichedForm).root);
  } catch {
    after = undefined;
  }
  if (isDeepStrictEqual(after, expected)) return;
  const entries = entryOf(entryOf(before, "contract")?.value, "dependencies")?.value;
  const entry =
    entries?.kind === "map" ? entries.entries.find(({ key }) => additions.has(key.text)) : undefined;
  if (entry !== undefined) throw unfit(text, entry);
}

function mapAt(
  value: unknown,
  path: readonly string[],
  change: (at: Readonly<Record<string, unknown>>) => unknown,
): unknown {
  if (!isRecord(value)) return value;
  const [key, ...rest] = path;
  return key === undefined ? change(value) : { ...value, [key]: mapAt(value[key], rest, change) };
}

function unfit(text: string, entry: YamlEntry): InvalidInput {
  const path = `contract.dependencies.${entry.key.text}`;
  const message = `${path} cannot be filled in the way it is written`;
  const hint = `Write it on a line of its own, without a value:  ${entry.key.text}:`;
  return new InvalidInput(message, {
    path,
    hint,
    issues: [
      {
        path,
        message,
        hint,
        fix: [{ op: "set", path: ["contract", "dependencies", entry.key.text], value: EMPTY }],
        ...positionAt(text, entry.key.start),
      },
    ],
  });
}
