/**
 * The part of nats-server's configuration that is ours: a text that nats.conf includes inside its `accounts` block. In it
 * an entry of ours stands between two comment lines that carry its mark; every other byte belongs to somebody else and
 * stays as it is.
 *
 *     # tentacular:default:team-a/hello begin
 *     "tn_default_team_a_hello_…": { … }
 *     # tentacular:default:team-a/hello end
 *
 * Marks and names are made of letters, digits and `:/_-`: nothing in them means anything to a regular expression.
 */

interface Place {
  readonly start: number;
  readonly end: number;
  readonly content: string;
}

/** What stands between the lines of `mark`; undefined when there is no such entry. */
export function readEntry(text: string, mark: string): string | undefined {
  return findEntry(text, mark)?.content;
}

/** The text with `content` as the entry of `mark`; without that entry when `content` is undefined. */
export function writeEntry(text: string, mark: string, content: string | undefined): string {
  const place = findEntry(text, mark);
  const entry = content === undefined ? "" : `# ${mark} begin\n${content}\n# ${mark} end\n`;
  // At the very beginning, as the end of a foreign text may be the middle of a line.
  if (place === undefined) return entry + text;
  return text.slice(0, place.start) + entry + text.slice(place.end);
}

/** Is `name` mentioned anywhere but in the entry of `mark`? */
export function isNamedElsewhere(text: string, mark: string, name: string): boolean {
  const { start, end } = findEntry(text, mark) ?? { start: 0, end: 0 };
  const around = `${text.slice(0, start)}\n${text.slice(end)}`;
  return new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(around);
}

/** The marks of all tentacles of this installation that have an entry. */
export function marksIn(text: string, installation: string): readonly string[] {
  const begins = text.matchAll(new RegExp(`^# (tentacular:${installation}:[^ ]+/[^ ]+) begin\\r?$`, "gm"));
  return [...begins].map(([, mark = ""]) => mark);
}

function findEntry(text: string, mark: string): Place | undefined {
  const begin = findLine(text, `# ${mark} begin`, 0);
  const end = begin && findLine(text, `# ${mark} end`, begin.end);
  if (begin === undefined || end === undefined) return undefined;
  const content = text.slice(begin.end, end.start).replace(/\r?\n$/, "");
  return { start: begin.start, end: end.end, content };
}

function findLine(text: string, line: string, from: number): { start: number; end: number } | undefined {
  const pattern = new RegExp(`^${line}\\r?$`, "gm");
  pattern.lastIndex = from;
  const match = pattern.exec(text);
  if (match === null) return undefined;
  const end = match.index + match[0].length;
  return { start: match.index, end: text[end] === "\n" ? end + 1 : end };
}
