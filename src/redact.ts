/**
 * Takes known secret values out of whatever leaves the server. The last net, not the first: nothing should put a secret
 * into a result, an error or a log line to begin with.
 */
export interface Redactor {
  /** Registers a secret; of an object or a list, every string in it. Values under 6 characters are not registered. */
  add(value: unknown): void;
  /**
   * The same for a secret of a tentacle, of which there are ever more: those learned last are known. Whoever works on a tentacle learns
   * its secrets before they can be anywhere.
   */
  learn(value: unknown): void;
  /** `text` without any registered value, in plain, URL-encoded, JSON-escaped or base64 form. */
  text(text: string): string;
  /** The same for every string (keys too) of a JSON value; returns a new value. */
  json<T>(value: T): T;
  /** A redactor that also knows what this one knows, now and later; what is added to it stays in it. */
  extend(): Redactor;
}

/** Shorter values are too common in ordinary text to be taken out of it. */
const MIN_LENGTH = 6;
/** A line of a secret of many lines (a creds file, a key) is a secret by itself from this length on. */
const MIN_LINE_LENGTH = 16;
const REPLACEMENT = "[redacted]";
/** Characters of all forms of what was learned: the secrets of some 300 tentacles, many times as many as a server is at work on at once. */
const CAPACITY = 10 * 2 ** 20;

/** Forms of secrets that begin alike. */
interface Alike {
  /** By their length, and of how many secrets each is a form. */
  readonly texts: Map<number, Map<string, number>>;
  /** Of the texts, each once, in descending order. */
  readonly lengths: number[];
}

const NONE: Alike = { texts: new Map(), lengths: [] };

/** A redactor that knows nothing yet; of what it learns it keeps so many characters. */
export function createRedactor({
  parent,
  capacity = CAPACITY,
}: { readonly parent?: Redactor; readonly capacity?: number } = {}): Redactor {
  /**
   * Forms by a number for how they begin. Those of many tentacles begin alike (`postgresql://`) but have few lengths, so that
   * neither learning one more nor looking through a text takes longer the more are known.
   */
  const forms = new Map<number, Alike>();
  /** What was learned, with its forms; the first was not heard of for longest. */
  const learned = new Map<string, readonly string[]>();
  let size = 0;

  function know(form: string): void {
    const start = startOf(form, 0);
    const alike = forms.get(start) ?? { texts: new Map<number, Map<string, number>>(), lengths: [] };
    forms.set(start, alike);
    const same = alike.texts.get(form.length) ?? new Map<string, number>();
    same.set(form, (same.get(form) ?? 0) + 1);
    if (alike.texts.has(form.length)) return;
    alike.texts.set(form.length, same);
    alike.lengths.push(form.length);
    // The longest first: a shorter one may be the beginning of it.
    alike.lengths.sort((a, b) => b - a);
  }

  function forget(form: string): void {
    const start = startOf(form, 0);
    const { texts, lengths } = forms.get(start) ?? NONE;
    const same = texts.get(form.length);
    const left = (same?.get(form) ?? 0) - 1;
    if (left > 0) return void same?.set(form, left);
    same?.delete(form);
    if (same?.size !== 0) return;
    texts.delete(form.length);
    lengths.splice(lengths.indexOf(form.length), 1);
    if (lengths.length === 0) forms.delete(start);
  }

  /** Length of the form that `text` has at this place; 0 when there is none. */
  function lengthAt(text: string, at: number): number {
    const { texts, lengths } = forms.get(startOf(text, at)) ?? NONE;
    return lengths.find((length) => texts.get(length)?.has(text.slice(at, at + length))) ?? 0;
  }

  function add(value: unknown): void {
    for (const secret of stringsOf(value)) allFormsOf(secret).forEach(know);
  }

  function learn(value: unknown): void {
    for (const secret of stringsOf(value)) {
      const before = learned.get(secret);
      const all = before ?? allFormsOf(secret);
      learned.delete(secret);
      learned.set(secret, all);
      if (before !== undefined) continue;
      all.forEach(know);
      size += lengthOf(all);
    }
    for (const [secret, all] of learned) {
      if (size <= capacity) break;
      learned.delete(secret);
      all.forEach(forget);
      size -= lengthOf(all);
    }
  }

  function text(input: string): string {
    const known = parent === undefined ? input : parent.text(input);
    if (forms.size === 0) return known;
    let output = "";
    let copied = 0;
    for (let at = 0; at + MIN_LENGTH <= known.length;) {
      const length = lengthAt(known, at);
      if (length > 0) {
        output += known.slice(copied, at) + REPLACEMENT;
        copied = at + length;
      }
      at += Math.max(length, 1);
    }
    return output + known.slice(copied);
  }

  function json<T>(value: T): T;
  function json(value: unknown): unknown {
    if (typeof value === "string") return text(value);
    if (Array.isArray(value)) return value.map((item: unknown) => json(item));
    if (typeof value !== "object" || value === null) return value;
    // defineProperty semantics (fromEntries), so that a key `__proto__` stays a key.
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [text(key), json(item)]));
  }

  const self: Redactor = { add, learn, text, json, extend: () => createRedactor({ parent: self, capacity }) };
  return self;
}

function lengthOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + text.length, 0);
}

/** A number for the characters at a place; looking through a text makes no string at each of its places. */
function startOf(text: string, at: number): number {
  let number = 0;
  for (let index = at; index < at + MIN_LENGTH; index++)
    number = (Math.imul(number, 31) + text.charCodeAt(index)) | 0;
  return number;
}

function* stringsOf(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null)
    for (const item of Object.values(value)) yield* stringsOf(item);
}

/** Those of a secret and of its lines, each as often as something has it. */
function allFormsOf(secret: string): readonly string[] {
  const lines = secret.split(/\r?\n/).filter((line) => line.length >= MIN_LINE_LENGTH);
  return [secret, ...lines].filter((part) => part.length >= MIN_LENGTH).flatMap((part) => [...formsOf(part)]);
}

function formsOf(secret: string): ReadonlySet<string> {
  const encoded = encodeURIComponent(secret.toWellFormed());
  const strict = encoded.replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const base64 = base64Forms(secret);
  return new Set([
    secret,
    encoded,
    strict,
    new URLSearchParams({ "": secret }).toString().slice(1),
    encoded.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    ...escapedForms(secret),
    ...base64,
    ...base64.map((form) => form.replaceAll("+", "-").replaceAll("/", "_")),
  ]);
}

/** In a JSON string, and in one that is inside another: a log line that a tool's result shows, and once more in an error. */
function escapedForms(secret: string): string[] {
  const forms: string[] = [];
  for (let form = secret, level = 0; level < 4; level++)
    forms.push((form = JSON.stringify(form).slice(1, -1)));
  return forms;
}

/**
 * How the secret looks inside base64 at each of the three alignments (`user:secret`, a JSON file in a Secret): the
 * characters at the edges that also depend on a neighbour are left off.
 */
function base64Forms(secret: string): string[] {
  const bytes = Buffer.from(secret, "utf8");
  return [0, 1, 2].map((offset) => {
    const length = offset + bytes.length;
    const text = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .replaceAll("=", "");
    return text.slice(offset === 0 ? 0 : offset + 1, Math.floor((length * 8) / 6));
  });
}
