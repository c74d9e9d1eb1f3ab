import { AsyncLocalStorage } from "node:async_hooks";
import type { NodeLog } from "../context.ts";
import { deno } from "./deno.ts";

type Level = "debug" | "info" | "warn" | "error";
type Fields = Readonly<Record<string, unknown>>;

/** Which node of which run is speaking. */
export interface Speaker {
  readonly node: string;
  readonly run: string;
}

/** The engine's log: one JSON line a call, warnings and errors on stderr, all else on stdout. */
export interface EngineLog extends NodeLog {
  /** Lines that `work` writes, through the console too, carry the speaker's name. */
  as<T>(speaker: Speaker, work: () => T): T;
}

const MAX_MESSAGE = 8_192;
const MAX_FIELDS = 16_384;

/** Makes the log, and sends the console's methods through it: a node's `console.log` is a line like any other. */
export function createLog(redact: (text: string) => string): EngineLog {
  const speakers = new AsyncLocalStorage<Speaker>();
  // Kept from before the console is replaced; they write at once, so that no line is lost when the process ends.
  const { log: out, error: err } = console;

  function write(level: Level, message: string, fields: Fields = {}): void {
    const line = JSON.stringify({
      time: new Date().toISOString(),
      level,
      ...speakers.getStore(),
      msg: cut(message, MAX_MESSAGE),
    });
    const extra = fieldsJson(fields);
    const text = redact(extra === "{}" ? line : `${line.slice(0, -1)},${extra.slice(1)}`);
    if (level === "warn" || level === "error") err(text);
    else out(text);
  }

  const at = (level: Level) => (message: string, fields?: Fields) => write(level, message, fields);
  const print =
    (level: Level) =>
    (...values: unknown[]) =>
      write(level, values.map(textOf).join(" "));
  Object.assign(console, {
    debug: print("debug"),
    trace: print("debug"),
    log: print("info"),
    info: print("info"),
    dir: print("info"),
    table: print("info"),
    warn: print("warn"),
    error: print("error"),
  });
  return {
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    as: (speaker, work) => speakers.run(speaker, work),
  };
}

/** As the console would show it. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : deno.inspect(value, { depth: 4 });
}

const OWN: ReadonlySet<string> = new Set(["time", "level", "node", "run", "msg"]);

function fieldsJson(fields: Fields): string {
  try {
    const text = JSON.stringify(Object.fromEntries(Object.entries(fields).filter(([key]) => !OWN.has(key))));
    return text.length <= MAX_FIELDS ? text : JSON.stringify({ fields: cut(text, MAX_MESSAGE) });
  } catch {
    return '{"fields":"cannot be written as JSON"}';
  }
}

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most)}… (${text.length - most} more characters)`;
}
