import { isDeepStrictEqual } from "node:util";
import type { z } from "zod";
import type { TestClient, TestResult } from "../mcp.ts";
import { answers } from "./answers.ts";
import type { Tally } from "./tally.ts";

/** Fields of an answer and what they must be. */
export type Expected = Readonly<Record<string, unknown>>;

/** Asks one server as one client, times what it asks, and compares the answers with what they must be. */
export interface Asker {
  /** The answer to a call that must succeed, but for `mayFail`; undefined when it failed, which is counted. */
  ask<Schema extends z.ZodType>(
    what: string,
    tool: string,
    args: Readonly<Record<string, unknown>>,
    schema: Schema,
    mayFail?: string,
  ): Promise<z.output<Schema> | undefined>;
  /** A call that must be refused with this code, and words that match. */
  refused(what: string, tool: string, args: Readonly<Record<string, unknown>>, as: Refused): Promise<void>;
  /** Counts something that was told truly and should not be so. */
  failed(what: string, how: string): void;
  /** Counts each field that is another than it must be. */
  compare(what: string, found: Expected, expected: Expected): void;
}

export interface Refused {
  readonly code: string;
  readonly message: RegExp;
}

export interface AskerOptions {
  readonly client: TestClient;
  readonly tally: Tally;
  /** Who asks, for the words about a wrong answer. */
  readonly who: string;
  /** The one enclave that an answer may speak of. */
  readonly mayTellOf: ReadonlySet<string>;
  readonly enclavesIn: (text: string) => ReadonlySet<string>;
}

/** Long enough for a server that has two hundred callers and half a core. */
const TIMEOUT_MS = 300_000;

export function createAsker({ client, tally, who, mayTellOf, enclavesIn }: AskerOptions): Asker {
  async function call(
    what: string,
    tool: string,
    args: Readonly<Record<string, unknown>>,
  ): Promise<TestResult | undefined> {
    const started = performance.now();
    try {
      const result = await client.call(tool, args, { timeout: TIMEOUT_MS });
      tally.took(what, performance.now() - started);
      return result;
    } catch (error) {
      tally.failed(what, `no answer: ${oneLine(String(error))}`);
      return undefined;
    }
  }

  const wrong = (what: string, words: string): void => tally.isWrong(`${who}: ${what}: ${words}`);

  function checkTenant(what: string, result: TestResult): void {
    const told = enclavesIn(`${result.text}${JSON.stringify(result.structured)}`);
    const strangers = [...told].filter((enclave) => !mayTellOf.has(enclave));
    if (strangers.length > 0) wrong(what, `tells of ${strangers.join(", ")}: ${result.text.slice(0, 500)}`);
  }

  return {
    async ask(what, tool, args, schema, mayFail) {
      const result = await call(what, tool, args);
      if (result === undefined) return undefined;
      checkTenant(what, result);
      if (result.isError) {
        const { code } = answers.error.safeParse(result.structured).data ?? {};
        if (code === undefined || code !== mayFail) tally.failed(what, errorKind(result));
        return undefined;
      }
      const parsed = schema.safeParse(result.structured);
      if (!parsed.success) wrong(what, `not as it must be: ${oneLine(parsed.error.message)}`);
      return parsed.data;
    },
    async refused(what, tool, args, { code, message }) {
      const result = await call(what, tool, args);
      if (result === undefined) return;
      const report = answers.error.safeParse(result.structured).data;
      if (!result.isError) wrong(what, `was not refused: ${result.text.slice(0, 300)}`);
      else if (report?.code !== code || !message.test(report.message))
        wrong(what, `was refused otherwise: ${result.text.slice(0, 300)}`);
      else tally.refuse();
    },
    failed: (what, how) => tally.failed(what, oneLine(how)),
    compare(what, found, expected) {
      for (const [key, value] of Object.entries(expected))
        if (!isDeepStrictEqual(found[key], value))
          wrong(what, `${key} is ${JSON.stringify(found[key])}, not ${JSON.stringify(value)}`);
    },
  };
}

function errorKind({ structured, text }: TestResult): string {
  const report = answers.error.safeParse(structured).data;
  return report === undefined ? oneLine(text) : `${report.code}: ${oneLine(report.message)}`;
}

/** One kind of error, whichever tentacle it is of. */
function oneLine(text: string): string {
  return text
    .replaceAll(/\s+/g, " ")
    .replaceAll(/\S*x[0-9a-f]{6}t\d\d\S*/g, "…")
    .replaceAll(/\d{2,}/g, "N")
    .slice(0, 240);
}
