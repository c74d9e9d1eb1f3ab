import type { StandardSchemaWithJSON } from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Caller } from "../callers/caller.ts";
import type { Arguments } from "./host.ts";
import type { Tool } from "./tool.ts";

/** A tool as one server offers it. */
export interface OfferedTool {
  readonly tool: Tool;
  /** What arguments are checked against: the tool's input, without what this server cannot do. */
  readonly input: z.ZodObject;
  readonly advertised: {
    readonly input: StandardSchemaWithJSON<Arguments>;
    readonly output: StandardSchemaWithJSON;
  };
}

/** Fits the tools to a server; throws when two have the same name. */
export function offerTools(
  tools: readonly Tool[],
  options: { readonly sharesFiles: boolean },
): readonly OfferedTool[] {
  const names = new Set<string>();
  return tools.map((tool) => {
    if (names.has(tool.name)) throw new RangeError(`two tools are named ${tool.name}`);
    names.add(tool.name);
    const hidden = options.sharesFiles ? [] : (tool.localInput ?? []);
    const input =
      hidden.length === 0
        ? tool.input
        : z.strictObject(
            Object.fromEntries(Object.entries(tool.input.shape).filter(([name]) => !hidden.includes(name))),
          );
    return {
      tool,
      input,
      advertised: {
        input: advertise(isArguments, () => inputSchema(input)),
        output: advertise(isAnything, () => outputSchema(tool.output)),
      },
    };
  });
}

/** The tools that a caller may use somewhere; what it may do with each where, the operations know. */
export function toolsFor(caller: Caller, offered: readonly OfferedTool[]): readonly OfferedTool[] {
  return offered.filter(({ tool }) =>
    caller.mayAnywhere(tool.scope ?? (tool.annotations.readOnlyHint ? "read" : "deploy")),
  );
}

/**
 * A schema that is only shown. The protocol library would check with it too, in words of its own; `call-tool.ts` does
 * that with better ones. Computed when first asked for, then kept.
 */
function advertise<T>(
  accepts: (value: unknown) => value is T,
  schema: () => Record<string, unknown>,
): StandardSchemaWithJSON<T> {
  let made: Record<string, unknown> | undefined;
  const json = (): Record<string, unknown> => (made ??= schema());
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

function inputSchema(schema: z.ZodObject): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: "input", override: dropNoise });
  return rest;
}

/**
 * Only the fields at the top with their kinds: what is inside, an answer shows by itself, while its schema would cost every agent
 * tokens in every conversation. It asks for no field, and so admits an error report too: clients of the 2025 protocol check
 * the structured content of an error against this schema, and would otherwise show their own schema error in place of ours.
 */
function outputSchema(schema: z.ZodObject): Record<string, unknown> {
  const {
    $schema: _dialect,
    required: _required,
    ...rest
  } = z.toJSONSchema(schema, {
    io: "output",
    override: (context) => {
      dropNoise(context);
      if (context.jsonSchema.additionalProperties === false) delete context.jsonSchema.additionalProperties;
    },
  });
  return {
    ...rest,
    properties: Object.fromEntries(
      Object.entries(rest.properties ?? {}).map(([name, field]) => [name, shallow(field)]),
    ),
  };
}

function shallow(field: z.core.JSONSchema._JSONSchema): unknown {
  if (typeof field === "boolean") return field;
  const { properties: _p, required: _r, items: _i, additionalProperties: _a, ...rest } = field;
  return rest;
}

/** What every reader assumes anyway and an agent would pay for in tokens. */
function dropNoise({ jsonSchema }: { jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  delete jsonSchema.propertyNames;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
}
