import type { z } from "zod";
import type { CallOptions, ServerConnection } from "./client.ts";
import type { CommandIo } from "./io.ts";
import { widthOf } from "./output.ts";
import { parseResult } from "./results.ts";
import { createStepLines } from "./steps.ts";

/** A tool's answer: as it came, for `-o json`, and checked, for the text. */
export interface Answer<T> {
  readonly structured: unknown;
  readonly view: T;
}

/** Calls one tool of the server and checks its answer. */
export async function callTool<T>(
  io: CommandIo,
  tool: string,
  args: Readonly<Record<string, unknown>>,
  schema: z.ZodType<T>,
): Promise<Answer<T>> {
  return io.withServer((server) => ask(server, tool, args, schema, { signal: io.signal }));
}

/** Like `callTool`, and shows the operation's steps while it goes on. */
export async function callWithSteps<T extends { readonly steps: readonly { step: string; ms: number }[] }>(
  io: CommandIo,
  tool: string,
  args: Readonly<Record<string, unknown>>,
  schema: z.ZodType<T>,
  title: (server: ServerConnection) => string,
): Promise<Answer<T>> {
  return io.withServer(async (server) => {
    io.output.note(title(server));
    const lines = createStepLines(io.output, widthOf(process.stderr));
    try {
      const options = {
        signal: io.signal,
        onProgress: (event: Parameters<typeof lines.onProgress>[0]) => lines.onProgress(event),
      };
      const answer = await ask(server, tool, args, schema, options);
      lines.done(answer.view.steps);
      return answer;
    } catch (error) {
      lines.failed();
      throw error;
    }
  });
}

/** Calls one tool over a connection that is open. */
export async function ask<T>(
  server: ServerConnection,
  tool: string,
  args: Readonly<Record<string, unknown>>,
  schema: z.ZodType<T>,
  options: CallOptions,
): Promise<Answer<T>> {
  const structured = await server.call(tool, args, options);
  return { structured, view: parseResult(tool, schema, structured) };
}
