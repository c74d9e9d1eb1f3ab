import * as z from "zod";
import type { JsonSchema, ListedTool, ToolSet } from "./listed-tool.ts";
import type { Tool } from "./tool.ts";

/** Tools that are at hand as a whole. */
export function toolSet(tools: readonly Tool[]): ToolSet {
  return { listed: tools.map(listTool), load: async () => tools };
}

/** What a tool's list entry says of it. */
export function listTool(tool: Tool): ListedTool {
  const { name, title, description, annotations, scope, localInput } = tool;
  return {
    name,
    title,
    description,
    annotations,
    ...(scope !== undefined && { scope }),
    ...(localInput !== undefined && { localInput }),
    input: inputSchema(tool.input),
    output: outputSchema(tool.output),
  };
}

/** What arguments are checked against: the tool's input, without what this server cannot do. */
export function checkedInput(tool: Tool, options: { readonly sharesFiles: boolean }): z.ZodObject {
  const hidden = options.sharesFiles ? [] : (tool.localInput ?? []);
  if (hidden.length === 0) return tool.input;
  return z.strictObject(
    Object.fromEntries(Object.entries(tool.input.shape).filter(([name]) => !hidden.includes(name))),
  );
}

function inputSchema(schema: z.ZodObject): JsonSchema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: "input", override: dropNoise });
  return rest;
}

/**
 * Only the fields at the top with their kinds: what is inside, an answer shows by itself, while its schema would cost every agent
 * tokens in every conversation. It asks for no field, and so admits an error report too: clients of the 2025 protocol check
 * the structured content of an error against this schema, and would otherwise show their own schema error in place of ours.
 */
function outputSchema(schema: z.ZodObject): JsonSchema {
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
