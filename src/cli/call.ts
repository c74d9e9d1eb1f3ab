import pRetry from "p-retry";
import type { z } from "zod";
import { TentacularError, Unavailable } from "../errors.ts";
import type { CallOptions, ProgressEvent, ServerConnection } from "./client.ts";
import { interruptedCall } from "./interrupted.ts";
import type { CommandIo } from "./io.ts";
import { ConnectionLost, NoConnection } from "./network.ts";
import { widthOf } from "./output.ts";
import { parseResult, statusSchema } from "./results.ts";
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
  schema: () => z.ZodType<T>,
): Promise<Answer<T>> {
  return io.withServer((server) => ask(server, tool, args, schema, { signal: io.signal }));
}

/** Like `callTool`, of a tool that only reads: it may be asked twice. */
export async function readTool<T>(
  io: CommandIo,
  tool: string,
  args: Readonly<Record<string, unknown>>,
  schema: () => z.ZodType<T>,
): Promise<Answer<T>> {
  const structured = await io.read(tool, args);
  return { structured, view: parseResult(tool, schema, structured) };
}

/**
 * Like `callTool`, and shows the operation's steps while it goes on. It survives a lost connection: the same call made
 * again attaches to the operation while that goes on. Only what is `idempotent` is called again when it does not.
 * Interrupted, it says that the server goes on.
 */
export async function callWithSteps<T extends { readonly steps: readonly { step: string; ms: number }[] }>(
  io: CommandIo,
  tool: string,
  args: Readonly<Record<string, unknown>>,
  schema: () => z.ZodType<T>,
  title: (server: ServerConnection) => string,
  {
    idempotent = false,
    tentacle = args,
    keepsNotes = false,
    onProgress,
  }: {
    readonly idempotent?: boolean;
    readonly tentacle?: Readonly<Record<string, unknown>>;
    readonly keepsNotes?: boolean;
    /** Told what is shown, too. */
    readonly onProgress?: (event: ProgressEvent) => void;
  } = {},
): Promise<Answer<T>> {
  let [url, isBegun]: [string | undefined, boolean] = [undefined, false];
  const call = async (server: ServerConnection): Promise<Answer<T>> => {
    url = server.url;
    const lines = createStepLines(io.output, { columns: widthOf(process.stderr), keepsNotes });
    try {
      const options = {
        signal: io.signal,
        onProgress: (event: ProgressEvent) => {
          isBegun = true;
          lines.onProgress(event);
          onProgress?.(event);
        },
      };
      const answer = await ask(server, tool, args, schema, options);
      lines.done(answer.view.steps);
      return answer;
    } catch (error) {
      lines.failed();
      throw error;
    }
  };
  try {
    return await io
      .withServer((server) => {
        io.output.note(title(server));
        return call(server);
      })
      .catch((error: unknown) => {
        if (!(error instanceof ConnectionLost)) throw error;
        io.output.note("The connection was lost. Looking how the operation goes on …");
        return pRetry(
          () =>
            io.withServer(async (server) => {
              if (!idempotent) await requireRunning(server, tentacle, io.signal);
              return call(server);
            }),
          {
            ...AGAIN,
            signal: io.signal,
            shouldRetry: ({ error: failure }) => failure instanceof NoConnection,
          },
        );
      });
  } catch (error) {
    if (!io.signal.aborted || error instanceof TentacularError) throw error;
    const { name } = tentacle;
    throw interruptedCall({ tool, args, name, url, isBegun, idempotent, typed: io.typed });
  }
}

/** Some twenty seconds: a replica that is replaced, a laptop that finds its network again. */
const AGAIN = { retries: 6, minTimeout: 300, factor: 2, maxTimeout: 8_000, randomize: true } as const;

/** Throws when no operation on the tentacle goes on: the one that was lost has ended, well or not. */
async function requireRunning(
  server: ServerConnection,
  { enclave, name }: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<void> {
  const ended = (cause?: unknown) =>
    new Unavailable(`the connection was lost, and the operation on ${String(name)} has ended meanwhile`, {
      reason: "unreachable",
      hint: `See how it ended: tntc history ${String(name)}. A tentacle that is not found there is gone.`,
      cause,
    });
  let status;
  try {
    status = await ask(server, "status", { enclave, name }, statusSchema, { signal });
  } catch (error) {
    if (error instanceof TentacularError && error.code === "invalid_input") throw ended(error);
    throw error;
  }
  if (status.view.operation?.outcome !== "running") throw ended();
}

/** Calls one tool over a connection that is open. */
export async function ask<T>(
  server: ServerConnection,
  tool: string,
  args: Readonly<Record<string, unknown>>,
  schema: () => z.ZodType<T>,
  options: CallOptions,
): Promise<Answer<T>> {
  const structured = await server.call(tool, args, options);
  return { structured, view: parseResult(tool, schema, structured) };
}
