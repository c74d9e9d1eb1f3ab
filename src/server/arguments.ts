import type { z } from "zod";
import { InvalidInput, type Issue } from "../errors.ts";
import { didYouMean } from "../nearest.ts";
import type { Arguments } from "./host.ts";
import { plain } from "./text.ts";

/** Beyond these a value is an attack, not a workflow: the deepest real ones have about ten levels. */
const MAX_DEPTH = 64;
const MAX_VALUES = 100_000;
const MAX_ISSUES = 20;
const SEE_SCHEMA = "See the tool's input schema.";

/**
 * Checks the arguments of a call against the tool's input schema; throws InvalidInput that names every wrong one, an
 * unknown one with the name that was probably meant.
 */
export function parseArguments<S extends z.ZodObject>(tool: string, schema: S, args: Arguments): z.output<S> {
  const shape = shapeProblem(args);
  if (shape !== undefined) throw invalid(tool, [shape]);
  const parsed = schema.safeParse(args, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw invalid(
    tool,
    parsed.error.issues.slice(0, MAX_ISSUES).flatMap((issue) => toIssues(issue, schema)),
  );
}

function invalid(tool: string, issues: readonly Issue[]): InvalidInput {
  const first = issues[0];
  return new InvalidInput(
    `the arguments of ${tool} are not right: ${first === undefined ? "unknown problem" : `${first.path} ${first.message}`}`,
    {
      hint: `Correct ${issues.length > 1 ? "these arguments" : "it"} and call ${tool} again; nothing was done.`,
      ...(first !== undefined && { path: first.path }),
      issues,
    },
  );
}

/** What no schema says: bounded depth and size, and no key that could reach a prototype. Never recurses. */
function shapeProblem(args: Arguments): Issue | undefined {
  let values = 0;
  let level: { readonly path: string; readonly value: unknown }[] = [{ path: "", value: args }];
  for (let depth = 0; level.length > 0; depth++) {
    const next: typeof level = [];
    for (const { path, value } of level) {
      if (typeof value !== "object" || value === null) continue;
      if (depth >= MAX_DEPTH)
        return {
          path: plain(path, 120),
          message: `is nested deeper than ${MAX_DEPTH} levels`,
          hint: "Flatten it.",
        };
      for (const [key, item] of Object.entries(value)) {
        const at = path === "" ? key : `${path}.${key}`;
        if (key === "__proto__")
          return { path: plain(at, 120), message: "is a name that is not allowed", hint: "Remove it." };
        if (++values > MAX_VALUES)
          return {
            path: "arguments",
            message: `hold more than ${MAX_VALUES} values`,
            hint: "Send less in one call.",
          };
        next.push({ path: depth < 4 ? at : path, value: item });
      }
    }
    level = next;
  }
  return undefined;
}

function toIssues(issue: z.core.$ZodIssue, schema: z.ZodObject): Issue[] {
  const path = plain(issue.path.map(String).join("."), 120);
  if (issue.code === "unrecognized_keys") {
    const known = issue.path.length === 0 ? Object.keys(schema.shape) : [];
    return issue.keys.slice(0, MAX_ISSUES).map((key) => unknownArgument(path, key, known));
  }
  const field: unknown = schema.shape[String(issue.path[0])];
  const missing = issue.code === "invalid_type" && issue.input === undefined;
  return [
    {
      path: path === "" ? "arguments" : path,
      message: missing ? "is missing" : inWords(issue.message),
      hint: descriptionOf(field),
    },
  ];
}

/** So that it goes on from the argument's name. */
function inWords(message: string): string {
  return message
    .replace(/^Invalid (?:input|option): /, "")
    .replace(/^expected record/, "expected object")
    .replace(/^Too (big|small): /, "is too $1: ");
}

function unknownArgument(path: string, key: string, known: readonly string[]): Issue {
  const name = plain(key, 60);
  return {
    path: path === "" ? name : `${path}.${name}`,
    message: "is not an argument of this tool",
    hint: known.length === 0 ? "Remove it." : didYouMean(name, known, `Known: ${known.join(", ")}.`),
  };
}

function descriptionOf(field: unknown): string {
  if (typeof field !== "object" || field === null || !("description" in field)) return SEE_SCHEMA;
  return typeof field.description === "string" ? field.description : SEE_SCHEMA;
}
