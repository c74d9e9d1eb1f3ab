import type { LogsResult } from "../../src/pipeline/operations.ts";
import { cut, dataBlock } from "../../src/server/text.ts";

const MAX_LINE = 500;
/** About 1,000 tokens unasked, and what was asked for within reason. */
const MAX_UNASKED = 3_600;
const MAX_ASKED = 20_000;

/** The newest lines that fit. */
export function logsText(
  { name, enclave, lines }: LogsResult,
  { asked }: { readonly asked: boolean },
): string {
  if (lines.length === 0) return `${name} in enclave ${enclave} has written no log. Next: run it, or status.`;
  const room = asked ? MAX_ASKED : MAX_UNASKED;
  const shown: string[] = [];
  let used = 0;
  for (const line of lines.map((one) => cut(one, MAX_LINE)).reverse()) {
    used += line.length + 3;
    if (used > room && shown.length > 0) break;
    shown.unshift(line);
  }
  const left = lines.length - shown.length;
  return [
    dataBlock(`Last ${shown.length} log lines of ${name}`, shown.join("\n"), room + MAX_LINE),
    ...(left === 0 ? [] : [`${left} earlier lines are left out; pass tail for more.`]),
  ].join("\n");
}
