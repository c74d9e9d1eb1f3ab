import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { InvalidInput } from "../errors.ts";
import { writeError } from "./output.ts";

/** Is there a person to ask? */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Everything on stdin. */
export async function readStdin(): Promise<string> {
  return text(process.stdin);
}

/** Asks on stderr and shows nothing of the answer. */
export async function askSecret(question: string, signal: AbortSignal): Promise<string> {
  return ask(question, true, signal);
}

/** Asks on stderr for a word that confirms; anything else refuses. */
export async function confirm(question: string, word: string, signal: AbortSignal): Promise<void> {
  if ((await ask(question, false, signal)).trim() === word) return;
  throw new InvalidInput("not confirmed; nothing was done", {
    hint: `Type ${word} to confirm, or pass --yes.`,
  });
}

async function ask(question: string, hidden: boolean, signal: AbortSignal): Promise<string> {
  let muted = false;
  const output = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (!muted) writeError(chunk.toString());
      done();
    },
  });
  const prompt = createInterface({ input: process.stdin, output, terminal: true });
  // In raw mode Ctrl-C is a key: hand it on as the signal that everything else listens to.
  prompt.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    const answer = prompt.question(question, { signal });
    muted = hidden;
    return await answer;
  } catch (error) {
    signal.throwIfAborted();
    throw new InvalidInput("no answer was given; nothing was done", {
      hint: "Type the answer, then Enter.",
      cause: error,
    });
  } finally {
    prompt.close();
    if (hidden) writeError("\n");
  }
}
