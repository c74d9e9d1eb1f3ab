import {
  COLLECTION_STYLE,
  constructFromEvents,
  type Event,
  EVENT_ID,
  parseEvents,
  SCALAR_STYLE,
  YAMLException,
} from "js-yaml";
import { InvalidInput, type Issue } from "../errors.ts";
import { formatBytes, limits } from "./limits.ts";

/**
 * Hostile-proof YAML with positions. One parser gives values and offsets alike (js-yaml's event stream), so that what
 * is checked is what is spliced; size, depth, keys and aliases are bounded, and time is linear in the text.
 */
export interface YamlDocument {
  readonly text: string;
  readonly root: YamlNode;
}

export type YamlNode = YamlScalar | YamlMap | YamlList;

interface YamlBase {
  /** Offset of the first character; of an empty value: where it would stand. */
  readonly start: number;
  /** Carries an anchor or a tag, or is an alias. */
  readonly decorated: boolean;
}

export interface YamlScalar extends YamlBase {
  readonly kind: "scalar";
  readonly value: string | number | boolean | null;
  /** As written, quotes and escapes resolved: `1.10` stays `1.10`. */
  readonly text: string;
  /** Offset after the last character, quotes included; `start` when empty. */
  readonly end: number;
}

export interface YamlMap extends YamlBase {
  readonly kind: "map";
  readonly flow: boolean;
  readonly entries: readonly YamlEntry[];
}

export interface YamlEntry {
  readonly key: YamlScalar;
  readonly value: YamlNode;
}

export interface YamlList extends YamlBase {
  readonly kind: "list";
  readonly flow: boolean;
  readonly items: readonly YamlNode[];
}

/** Plain data made of a YAML text. */
export type YamlValue =
  string | number | boolean | null | readonly YamlValue[] | { readonly [key: string]: YamlValue };

/** Names that never become a key: code that copies objects could change a prototype through them. */
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** What a text is called in messages, and how large it may be. */
export interface YamlOptions {
  readonly name: string;
  readonly maxBytes: number;
  readonly maxKeys: number;
  /** The text holds secrets: messages then say where, and nothing of what stands there. */
  readonly secret?: boolean;
}

/** The author's workflow.yaml. */
export const authorForm: YamlOptions = {
  name: "workflow.yaml",
  maxBytes: limits.workflowBytes,
  maxKeys: limits.yamlKeys,
};

/** workflow.yaml as deployed. */
export const enrichedForm: YamlOptions = {
  name: "workflow.yaml (as deployed)",
  maxBytes: limits.enrichedBytes,
  maxKeys: limits.enrichedKeys,
};

/** Parses one YAML 1.2 document; throws InvalidInput with line and column. */
export function parseYaml(text: string, options: YamlOptions): YamlDocument {
  const { name, maxBytes, maxKeys } = options;
  const size = Buffer.byteLength(text);
  if (size > maxBytes)
    throw new InvalidInput(`${name} has ${formatBytes(size)}; at most ${formatBytes(maxBytes)} are allowed`, {
      hint: "Move long texts into node files.",
    });
  try {
    return { text, root: buildTree(text, parseEvents(text, { maxDepth: limits.yamlDepth }), maxKeys) };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const offset = error.mark?.position ?? 0;
    if (options.secret === true) throw yamlError(name, text, offset, "this is not readable as YAML");
    // js-yaml's reasons are fixed phrases and hold nothing but the author's own anchor and tag names.
    throw yamlError(name, text, offset, error.reason, error);
  }
}

function yamlError(
  name: string,
  text: string,
  offset: number,
  reason: string,
  cause?: unknown,
): InvalidInput {
  const position = positionAt(text, offset);
  const issue: Issue = {
    path: name,
    message: `${name}: ${reason}`,
    hint: hintFor(reason),
    ...position,
  };
  return new InvalidInput(`${name}, line ${position.line}, column ${position.column}: ${reason}`, {
    hint: issue.hint,
    issues: [issue],
    cause,
  });
}

function hintFor(reason: string): string {
  if (reason.includes("tab")) return "Indent with spaces: YAML allows no tabs there.";
  if (reason.includes("duplicated")) return "Write each key once.";
  if (reason.includes("deficient"))
    return "Indent a closing } or ] further than the key that its { or [ belongs to.";
  if (reason.includes("maxDepth")) return "Nest less deeply.";
  return "Check the indentation and the quotes of this line and the one above.";
}

/** Line and column of an offset, both from 1; a byte order mark counts for nothing. */
export function positionAt(text: string, offset: number): { readonly line: number; readonly column: number } {
  let line = 1;
  let lineStart = text.startsWith("\uFEFF") ? 1 : 0;
  for (
    let index = text.indexOf("\n");
    index !== -1 && index < offset;
    index = text.indexOf("\n", index + 1)
  ) {
    line += 1;
    lineStart = index + 1;
  }
  return { line, column: Math.max(1, offset - lineStart + 1) };
}

/** The value of key `key` of a mapping, or undefined. */
export function entryOf(node: YamlNode | undefined, key: string): YamlEntry | undefined {
  return node?.kind === "map" ? node.entries.find((entry) => entry.key.text === key) : undefined;
}

/** Plain data of a node: objects with own keys only. */
export function valueOf(node: YamlNode): YamlValue {
  switch (node.kind) {
    case "scalar":
      return node.value;
    case "list":
      return node.items.map(valueOf);
    case "map":
      return Object.fromEntries(node.entries.map((entry) => [entry.key.text, valueOf(entry.value)]));
  }
}

interface Sized {
  readonly node: YamlNode;
  /** Nodes in it, and levels below it: what an alias to it adds. */
  readonly count: number;
  readonly height: number;
}

interface Frame {
  readonly event: Extract<Event, { start: number }>;
  readonly children: Sized[];
  readonly keys: Set<string>;
}

function buildTree(text: string, events: readonly Event[], maxKeys: number): YamlNode {
  const stack: Frame[] = [];
  const anchors = new Map<string, Sized>();
  let root: YamlNode | undefined;
  let keys = 0;
  let total = 0;
  let last = 0;
  const document = onlyDocument(text, events);
  const fail = (offset: number, reason: string): never => YAMLException.throwAt(text, offset, reason);

  function charge(count: number): void {
    total += count;
    if (total > limits.yamlNodes) fail(last, `more than ${limits.yamlNodes} values`);
  }

  function add(sized: Sized): void {
    const frame = stack.at(-1);
    if (frame === undefined) {
      root = sized.node;
      return;
    }
    if (frame.event.type === EVENT_ID.MAPPING && frame.children.length % 2 === 0) addKey(frame, sized.node);
    if (stack.length + sized.height > limits.yamlDepth) fail(sized.node.start, "nested too deeply");
    frame.children.push(sized);
  }

  function addKey(frame: Frame, key: YamlNode): void {
    if (key.kind !== "scalar") return fail(key.start, "a key must be a plain text");
    if (key.decorated) fail(key.start, "a key takes no anchor, tag or alias");
    if (key.text === "<<") fail(key.start, "merge keys (<<) are not supported");
    if (FORBIDDEN_KEYS.has(key.text)) fail(key.start, `the key ${key.text} is not allowed`);
    if (frame.keys.has(key.text)) fail(key.start, "duplicated mapping key");
    frame.keys.add(key.text);
    keys += 1;
    if (keys > maxKeys) fail(key.start, `more than ${maxKeys} keys`);
  }

  function remember(event: Extract<Event, { anchorStart: number }>, sized: Sized): Sized {
    if (event.anchorStart !== -1) anchors.set(text.slice(event.anchorStart, event.anchorEnd), sized);
    return sized;
  }

  for (const event of events) {
    switch (event.type) {
      case EVENT_ID.DOCUMENT:
        break;
      case EVENT_ID.SEQUENCE:
      case EVENT_ID.MAPPING:
        last = event.start;
        charge(1);
        if (event.tagStart !== -1) fail(event.tagStart, "tags on mappings and lists are not supported");
        stack.push({ event, children: [], keys: new Set() });
        break;
      case EVENT_ID.SCALAR: {
        const node = scalarNode(text, event, document, last);
        if (typeof node.value === "number" && !Number.isFinite(node.value))
          fail(node.start, "infinite numbers are not supported");
        last = node.end;
        charge(1);
        add(remember(event, { node, count: 1, height: 0 }));
        break;
      }
      case EVENT_ID.ALIAS: {
        const anchor = anchors.get(text.slice(event.anchorStart, event.anchorEnd));
        if (anchor === undefined) return fail(event.anchorStart - 1, "alias without an anchor before it");
        last = event.anchorEnd;
        charge(anchor.count);
        add({ ...anchor, node: aliasNode(anchor.node, event.anchorStart - 1, event.anchorEnd) });
        break;
      }
      case EVENT_ID.POP: {
        const frame = stack.pop();
        if (frame !== undefined) add(remember(frame.event, closeFrame(frame)));
        break;
      }
    }
  }
  return root ?? { kind: "scalar", value: null, text: "", start: 0, end: 0, decorated: false };
}

/** The document event; refuses a second document, so that none is left out in silence. */
function onlyDocument(text: string, events: readonly Event[]): Event | undefined {
  const second = events.findIndex((event, index) => index > 0 && event.type === EVENT_ID.DOCUMENT);
  if (second === -1) return events[0];
  const [first] = events.slice(second + 1);
  const offset =
    first === undefined ? -1 : "valueStart" in first ? first.valueStart : "start" in first ? first.start : -1;
  return YAMLException.throwAt(
    text,
    offset === -1 ? text.length : offset,
    "a second document begins here; write one only",
  );
}

function scalarNode(
  text: string,
  event: Extract<Event, { valueStart: number }>,
  document: Event | undefined,
  last: number,
): YamlScalar {
  const decorated = event.anchorStart !== -1 || event.tagStart !== -1;
  const empty = event.valueStart === -1;
  const quote =
    event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED ? 1 : 0;
  const value = resolveScalar(text, event, document);
  return {
    kind: "scalar",
    value,
    text: typeof value === "string" ? value : empty ? "" : text.slice(event.valueStart, event.valueEnd),
    start: empty ? last : event.valueStart - quote,
    end: empty ? last : event.valueEnd + quote,
    decorated,
  };
}

/** The value of one scalar by the YAML 1.2 core schema: `no` is a text, `0o17` is 15, `1e3` is 1000. */
function resolveScalar(
  source: string,
  event: Extract<Event, { valueStart: number }>,
  document: Event | undefined,
): YamlScalar["value"] {
  const events = document === undefined ? [event] : [document, event, { type: EVENT_ID.POP }];
  const [value] = constructFromEvents(events, { source });
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return YAMLException.throwAt(source, event.tagStart, "this tag is not supported");
}

function aliasNode(node: YamlNode, start: number, end: number): YamlNode {
  return node.kind === "scalar"
    ? { ...node, start, end, decorated: true }
    : { ...node, start, decorated: true };
}

function closeFrame({ event, children }: Frame): Sized {
  const shared = {
    start: event.start,
    decorated: event.anchorStart !== -1,
    flow: event.style === COLLECTION_STYLE.FLOW,
  };
  const nodes = children.map((child) => child.node);
  const size = {
    count: children.reduce((sum, child) => sum + child.count, 1),
    height: children.reduce((height, child) => Math.max(height, child.height + 1), 0),
  };
  if (event.type === EVENT_ID.SEQUENCE) return { node: { kind: "list", items: nodes, ...shared }, ...size };
  const entries: YamlEntry[] = [];
  for (let index = 0; index + 1 < nodes.length; index += 2) {
    const [key, value] = [nodes[index], nodes[index + 1]];
    if (key?.kind === "scalar" && value !== undefined) entries.push({ key, value });
  }
  return { node: { kind: "map", entries, ...shared }, ...size };
}
