import { pino } from "pino";
import type { Redactor } from "./redact.ts";

/** Structured log, one JSON line a call. Bound to fd 2: stdout belongs to the protocol. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * A logger on fd 2. Whatever is logged, fields, errors with their causes and stacks, passes the redactor as the very line
 * that is written, so that no caller has to think of it.
 */
export function createLogger(
  level: "debug" | "info" | "warn" | "error" | "silent",
  redactor: Redactor,
): Logger {
  return pino(
    {
      level,
      base: undefined,
      // Taken apart again: inside JSON a secret stands escaped, once more with each level.
      hooks: { streamWrite: (line) => `${JSON.stringify(redactor.json(JSON.parse(line)))}\n` },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** Says nothing; for tests and for commands that print for people. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
};
