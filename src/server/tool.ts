import type { z } from "zod";
import type { Scope } from "../callers/caller.ts";
import type { TentacularError } from "../errors.ts";
import type { OperationCall, Operations } from "../pipeline/operations.ts";

/**
 * One MCP tool: pure data and a short handler. The server adds validation, error texts, redaction and progress once,
 * round all of them (`call-tool.ts`).
 */
export interface Tool<Input extends z.ZodObject = z.ZodObject, Output extends z.ZodObject = z.ZodObject> {
  /** snake_case; also the file's name in kebab-case. */
  readonly name: string;
  readonly title: string;
  /** What it does, when to use it, what to call before and after: written for an agent. */
  readonly description: string;
  readonly input: Input;
  /** Input fields that hold secrets: whatever they hold is taken out of all that this call gives back or logs. */
  readonly secretInput?: readonly string[];
  /** Optional input fields that name files of the caller: not offered where server and caller share no file system. */
  readonly localInput?: readonly string[];
  readonly output: Output;
  readonly annotations: {
    readonly readOnlyHint: boolean;
    readonly destructiveHint: boolean;
    readonly idempotentHint: boolean;
    readonly openWorldHint: boolean;
  };
  /** What its caller needs somewhere to be offered it; default: `read` where it changes nothing, else `deploy`. */
  readonly scope?: Scope;
  /** What `input` would destroy for good, if anything: gone on with only when confirmed (`confirm.ts`). */
  confirm?(input: z.output<Input>): Confirmation | undefined;
  handle(input: z.output<Input>, context: ToolContext): Promise<ToolAnswer<z.input<Output>>>;
}

export interface ToolContext extends OperationCall {
  readonly operations: Operations;
  /** Tells the operator of an error that the answer only mentions. */
  readonly noted: (error: TentacularError) => void;
  /** Reads a tentacle's folder; only where server and caller share a file system (stdio, loopback). */
  readonly readDirectory?: (path: string) => Promise<TentacleFolder>;
}

/** Something that cannot be undone, and how it is confirmed. */
export interface Confirmation {
  /** The argument that must repeat `name`. */
  readonly argument: string;
  readonly given: string;
  readonly name: string;
  /** Completes "undeploy would …". */
  readonly effect: string;
}

/** What `deploy` takes from a folder. */
export interface TentacleFolder {
  readonly workflow: string;
  readonly files: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, Readonly<Record<string, string>> | string>>;
}

/** Structured content, and a text that stands alone. */
export interface ToolAnswer<T> {
  readonly structured: T;
  readonly text: string;
}

/** Checks a tool against the interface and keeps its input and output types. */
export function defineTool<I extends z.ZodObject, O extends z.ZodObject>(
  tool: Tool<I, O> & {
    readonly secretInput?: readonly (keyof I["shape"])[];
    readonly localInput?: readonly (keyof I["shape"])[];
  },
): Tool<I, O> {
  return tool;
}
