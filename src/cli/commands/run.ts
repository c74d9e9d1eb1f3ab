import { readFile } from "node:fs/promises";
import { InvalidInput } from "../../errors.ts";
import { ask } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { readStdin } from "../prompt.ts";
import { renderRunFailure, renderRunNote } from "../render/run.ts";
import { runSchema } from "../results.ts";

export interface RunOptions {
  readonly name: string;
  readonly input?: string;
  /** Seconds. */
  readonly timeout?: number;
}

/** Runs a tentacle; stdout gets its result alone, so that a pipe can go on with it. */
export async function run(options: RunOptions, io: CommandIo): Promise<ExitCode> {
  const input = options.input === undefined ? undefined : await readInput(options.input);
  const { structured, view } = await io.withServer((server) =>
    ask(
      server,
      "run",
      {
        ...enclaveArgument(io),
        name: options.name,
        ...(input !== undefined && { input: input.value }),
        ...(options.timeout !== undefined && { timeout_seconds: options.timeout }),
      },
      runSchema,
      {
        signal: io.signal,
        ...(options.timeout !== undefined && { silenceMs: (options.timeout + 30) * 1000 }),
      },
    ),
  );
  if (view.ok) {
    io.output.note(renderRunNote(view, io.output.noteStyle));
    await io.output.result(structured, () => JSON.stringify(view.result ?? null, null, 2));
    return exitCodes.ok;
  }
  io.output.note(renderRunFailure(view, io.output.noteStyle));
  await io.output.result(structured, () => "");
  return exitCodes.incomplete;
}

/** `--input` as JSON: written there, in `@file`, or on stdin as `-`. */
async function readInput(argument: string): Promise<{ value: unknown }> {
  const [source, text] =
    argument === "-"
      ? ["stdin", await readStdin()]
      : argument.startsWith("@")
        ? [argument.slice(1), await readText(argument.slice(1))]
        : ["--input", argument];
  try {
    const value: unknown = JSON.parse(text);
    return { value };
  } catch (error) {
    throw new InvalidInput(
      `the input from ${source} is no JSON: ${error instanceof Error ? error.message : ""}`,
      {
        hint: `Write JSON, a text in double quotes included: --input '{"amount": 5}', --input '"text"', --input @file.json.`,
        cause: error,
      },
    );
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new InvalidInput(`the input file ${path} cannot be read`, {
      hint: "Check the path after the @.",
      cause: error,
    });
  }
}
