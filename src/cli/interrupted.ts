import type { GlobalOptions } from "./io.ts";
import { type OutputFormat, serialise } from "./output.ts";
import type { Style } from "./style.ts";
import { plain } from "./text.ts";

/** Ctrl-C or SIGTERM came while something was under way: what becomes of it, and what shows that. */
export class Interrupted extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = "Interrupted";
    this.hint = hint;
  }
}

/** The call of a tool that writes, as far as it got. */
export interface InterruptedCall {
  readonly tool: string;
  readonly args: Readonly<Record<string, unknown>>;
  /** The tentacle, where the arguments do not name it. */
  readonly name: unknown;
  /** Where it was sent; absent when there was no connection yet. */
  readonly url: string | undefined;
  /** The server has said that it is at it. */
  readonly isBegun: boolean;
  /** Ends the same call, made again, in the same state, however the first ended? */
  readonly idempotent: boolean;
  /** What was typed to choose the server and the enclave, to be typed again. */
  readonly typed: string;
}

/** A server goes on with what it was asked: that, and the command that shows how it ends. */
export function interruptedCall(call: InterruptedCall): Interrupted {
  const { tool, args, name, url, isBegun, idempotent, typed } = call;
  if (url === undefined) return new Interrupted("nothing was asked of the server yet", "");
  if (args.dry_run === true) return new Interrupted("a plan writes nothing", "");
  if (tool === "repair" && typeof name !== "string")
    return new Interrupted(
      `the repair at ${url} ends with the tentacle that it is at`,
      `The same command again goes on with the others. See how they are: tntc list${typed}.`,
    );
  const isOrphan = args.orphan === true;
  const what = typeof name === "string" ? `${tool} of ${name}` : tool;
  const look = typeof name !== "string" ? "tntc list" : isOrphan ? "tntc gc" : `tntc status ${plain(name)}`;
  return new Interrupted(
    `the ${what} ${isBegun ? "goes on" : "may go on"} at ${url}`,
    [
      `See how it goes on, or ended: ${look}${typed}.`,
      ...(idempotent ? ["The same command again waits for its end."] : []),
      ...(tool === "undeploy" && !isOrphan ? ["A tentacle that is not found there is gone."] : []),
    ].join(" "),
  );
}

/** The options that chose the server and the enclave, as they are typed again behind another command. */
export function typedOptions({ enclave, env, server, tokenFile, ca }: Omit<GlobalOptions, "output">): string {
  const given = { "-e": enclave, "--env": env, "--server": server, "--token-file": tokenFile, "--ca": ca };
  return Object.entries(given)
    .flatMap(([option, value]) => (value === undefined ? [] : [` ${option} ${quoted(value)}`]))
    .join("");
}

/** The text for people or programs, ready to be written to stderr. */
export async function renderInterrupted(error: unknown, format: OutputFormat, style: Style): Promise<string> {
  const { message, hint } = error instanceof Interrupted ? error : new Interrupted("", "");
  if (format !== "text") {
    const report = { code: "interrupted", message: message === "" ? "interrupted" : message, hint };
    return `${await serialise(format, { error: report })}\n`;
  }
  return [
    `${style.bold("interrupted")}${message === "" ? "" : `: ${plain(message)}`}\n`,
    hint === "" ? "" : `${style.cyan("hint:")} ${plain(hint)}\n`,
  ].join("");
}

/** A word of a POSIX shell. */
function quoted(word: string): string {
  return /^[\w./:@%+=,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
