import { isInputRequiredResult } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { CallContext, ToolCaller } from "./call-tool.ts";
import type { Arguments } from "./host.ts";
import type { OfferedTool } from "./listed-tool.ts";

/** The tools that resources, prompts and completions look through. */
type LookTool = "enclave_info" | "status" | "logs";

/**
 * All that resources, prompts and completions see of an installation: what its tools answer the same caller. So whatever
 * wraps `ToolCaller.call` or leaves a tool out of `offered` (authorisation) holds here too, and nothing here needs to know.
 */
export interface Look {
  /** Is the tool offered to this caller? */
  has(tool: string): boolean;
  /** Has a call already made what the tools work on? What a client lists by itself at its start must not. */
  isAwake(): boolean;
  /** Text of the answer, of an error too; undefined where the tool is not offered. */
  read(tool: LookTool, args: Arguments, context: CallContext): Promise<Seen | undefined>;
  enclaves(context: CallContext): Promise<readonly string[]>;
  tentacles(enclave: string | undefined, context: CallContext): Promise<readonly Listed[]>;
}

export interface Seen {
  readonly text: string;
  readonly ok: boolean;
  readonly structured: unknown;
}

export interface Listed {
  readonly enclave: string;
  readonly name: string;
}

/** The most that a completion or a list shows. */
const MAX_LISTED = 500;
const infoSchema = z.object({ enclaves: z.array(z.string()) });
const listSchema = z.object({ enclave: z.string(), tentacles: z.array(z.object({ name: z.string() })) });

/** Looks through the tools offered to one caller. */
export function createLook(
  caller: ToolCaller,
  offered: readonly OfferedTool[],
  options: { readonly lazyHost: boolean },
): Look {
  const has = (name: string): boolean => offered.some((tool) => tool.name === name);

  async function read(name: LookTool, args: Arguments, context: CallContext): Promise<Seen | undefined> {
    if (!has(name)) return undefined;
    const result = await caller.call(name, args, context);
    if (isInputRequiredResult(result)) return undefined;
    const text = result.content.map((block) => (block.type === "text" ? block.text : "")).join("\n");
    return { text, ok: result.isError !== true, structured: result.structuredContent };
  }

  return {
    has,
    isAwake: () => !options.lazyHost || caller.hasHost(),
    read,
    async enclaves(context) {
      const seen = await read("enclave_info", {}, context);
      return infoSchema.safeParse(seen?.structured).data?.enclaves ?? [];
    },
    async tentacles(enclave, context) {
      const args = { limit: MAX_LISTED, ...(enclave !== undefined && { enclave }) };
      const list = listSchema.safeParse((await read("status", args, context))?.structured).data;
      return (list?.tentacles ?? []).map(({ name }) => ({ enclave: list?.enclave ?? "", name }));
    },
  };
}

const COMPLETION_MS = 5_000;

/** Completes an enclave's or a tentacle's name from what the caller may see. */
export function createCompletions(look: Look) {
  const context = (): CallContext => ({ id: "completion", signal: AbortSignal.timeout(COMPLETION_MS) });
  const matching = (names: readonly string[], start: string): string[] =>
    names.filter((name) => name.startsWith(start)).sort();
  return {
    enclave: async (start: string) => (look.isAwake() ? matching(await look.enclaves(context()), start) : []),
    name: async (start: string, given?: { readonly arguments?: Readonly<Record<string, string>> }) => {
      if (!look.isAwake()) return [];
      const listed = await look.tentacles(given?.arguments?.enclave, context());
      return matching(
        listed.map(({ name }) => name),
        start,
      );
    },
  };
}

export type Completions = ReturnType<typeof createCompletions>;
