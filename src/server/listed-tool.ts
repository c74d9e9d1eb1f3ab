import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import type { Caller, Scope } from "../callers/caller.ts";
import type { Arguments } from "./host.ts";
import type { Tool } from "./tool.ts";

/** A tool as `tools/list` shows it: data alone, at hand before anything that checks or works is loaded. */
export interface ListedTool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly annotations: Tool["annotations"];
  readonly scope?: Scope;
  readonly localInput?: readonly string[];
  readonly input: JsonSchema;
  readonly output: JsonSchema;
}

/** A JSON Schema of an object. */
export interface JsonSchema {
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

/** The tools of a server. */
export interface ToolSet {
  readonly listed: readonly ListedTool[];
  /** What does the work, when a tool is first called. */
  load(): Promise<readonly Tool[]>;
}

/** Why a tool is not offered: the server changes nothing, or the caller has this scope nowhere. */
export type Refused = "read-only" | Scope;

/** A tool as one server offers it, or refuses it. */
export interface OfferedTool extends Omit<ListedTool, "input" | "output"> {
  /** Present: it is in no list, and a call of it says why. */
  readonly refused?: Refused;
  readonly advertised: {
    readonly input: StandardSchemaWithJSON<Arguments>;
    readonly output: StandardSchemaWithJSON;
  };
}

/** Fits the tools to a server; throws when two have the same name. */
export function offerTools(
  listed: readonly ListedTool[],
  options: { readonly sharesFiles: boolean; readonly readOnly?: boolean },
): readonly OfferedTool[] {
  const names = new Set<string>();
  return listed.map(({ input, output, ...tool }) => {
    if (names.has(tool.name)) throw new RangeError(`two tools are named ${tool.name}`);
    names.add(tool.name);
    return {
      ...tool,
      ...(options.readOnly === true && !tool.annotations.readOnlyHint && { refused: "read-only" }),
      advertised: {
        input: advertise(isArguments, without(input, options.sharesFiles ? [] : (tool.localInput ?? []))),
        output: advertise(isAnything, output),
      },
    };
  });
}

/** The tools as a caller gets them: those that it may use nowhere are refused. What it may do with each other where, the operations know. */
export function toolsFor(caller: Caller, offered: readonly OfferedTool[]): readonly OfferedTool[] {
  return offered.map((tool) => {
    const scope = tool.scope ?? (tool.annotations.readOnlyHint ? "read" : "deploy");
    return tool.refused !== undefined || caller.mayAnywhere(scope) ? tool : { ...tool, refused: scope };
  });
}

/** As `tools/list` shows it. */
export function shown({ name, title, description, annotations, advertised }: OfferedTool) {
  return {
    name,
    title,
    description,
    annotations,
    inputSchema: { ...schemaOf(advertised.input), type: "object" as const },
    outputSchema: { ...schemaOf(advertised.output), type: "object" as const },
  };
}

function schemaOf(advertised: StandardSchemaWithJSON): Record<string, unknown> {
  return advertised["~standard"].jsonSchema.input({ target: "draft-2020-12" });
}

function without(schema: JsonSchema, hidden: readonly string[]): JsonSchema {
  if (hidden.length === 0) return schema;
  const properties = Object.entries(schema.properties ?? {}).filter(([name]) => !hidden.includes(name));
  return { ...schema, properties: Object.fromEntries(properties) };
}

/**
 * A schema that is only shown. The protocol library would check with it too, in words of its own; `call-tool.ts` does
 * that with better ones.
 */
function advertise<T>(
  accepts: (value: unknown) => value is T,
  schema: JsonSchema,
): StandardSchemaWithJSON<T> {
  const json = (): Record<string, unknown> => ({ ...schema });
  return {
    "~standard": {
      version: 1,
      vendor: "tentacular",
      validate: (value) =>
        accepts(value) ? { value } : { issues: [{ message: "arguments must be an object" }] },
      jsonSchema: { input: json, output: json },
    },
  };
}

function isArguments(value: unknown): value is Arguments {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isAnything(_value: unknown): _value is unknown {
  return true;
}
