import { z } from "zod";
import { type ErrorReport, Internal, TentacularError } from "../errors.ts";
import { inCommands } from "./in-commands.ts";

const issueSchema = () =>
  z.object({
    path: z.string(),
    file: z.string().optional(),
    message: z.string(),
    hint: z.string(),
    line: z.number().optional(),
    column: z.number().optional(),
  });

const reportSchema = () =>
  z.object({
    code: z.enum(["invalid_input", "not_enabled", "unavailable", "conflict", "internal"]),
    message: z.string(),
    hint: z.string(),
    service: z.string().optional(),
    path: z.string().optional(),
    issues: z.array(issueSchema()).optional(),
  });

/** A tool's error, as the class that the server named; its next steps are those of a person at a terminal. */
export function toolFailure(
  tool: string,
  structured: unknown,
  content: readonly { type: string }[],
): TentacularError {
  const { data: report } = reportSchema().safeParse(structured);
  if (report !== undefined) return new TentacularError(report.code, report.message, forTerminal(report));
  const text = content.flatMap((block) => ("text" in block ? [String(block.text)] : [])).join("\n");
  return new Internal(text === "" ? `${tool} failed and the server did not say why` : text, {
    hint: "The server's log has the cause.",
    cause: structured,
  });
}

function forTerminal({ hint, issues, ...report }: z.infer<ReturnType<typeof reportSchema>>): ErrorReport {
  return {
    ...report,
    hint: inCommands(hint),
    ...(issues !== undefined && {
      issues: issues.map((issue) => ({ ...issue, hint: inCommands(issue.hint) })),
    }),
  };
}
