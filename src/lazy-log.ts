import type { Logger } from "./log.ts";

/** A logger that is made for its first line: what has nothing to log does not wait for its library. */
export function lazyLogger(make: () => Promise<Logger>): Logger {
  let made: Promise<Logger> | undefined;
  const at =
    (level: keyof Logger) =>
    (fields: object, message: string): void => {
      void (made ??= make()).then((logger) => logger[level](fields, message));
    };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
