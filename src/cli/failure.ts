import {
  type ErrorCode,
  type ErrorReport,
  type Issue,
  TentacularError,
  toTentacularError,
} from "../errors.ts";
import { AccessDenied, NoConnection } from "./network.ts";
import { type OutputFormat, serialise } from "./output.ts";
import type { Style } from "./style.ts";
import { plain } from "./text.ts";

/** What the process ends with, by what happened; `docs/cli.md` lists them. */
export const exitCodes = {
  ok: 0,
  internal: 1,
  invalid_input: 2,
  not_enabled: 3,
  unavailable: 4,
  conflict: 5,
  /** The command did its part, but what it asked for did not come out whole: a node failed, something could not be removed. */
  incomplete: 6,
  /** No server was reached, or the connection to it was lost. */
  no_connection: 7,
  /** The server does not know the caller, or does not let it. */
  denied: 8,
  interrupted: 130,
} as const satisfies Record<
  ErrorCode | "ok" | "incomplete" | "no_connection" | "denied" | "interrupted",
  number
>;

/** What every command ends with. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** Any thrown value as the report that is shown and the code the process ends with. */
export function reportOf(error: unknown, attempted: string): { report: ErrorReport; exitCode: ExitCode } {
  const known = error instanceof TentacularError ? error : unforeseen(error, attempted);
  return { report: known.report(), exitCode: exitCodeOf(known) };
}

function exitCodeOf(error: TentacularError): ExitCode {
  if (error instanceof NoConnection) return exitCodes.no_connection;
  return error instanceof AccessDenied ? exitCodes.denied : exitCodes[error.code];
}

/** The report for people or programs, ready to be written to stderr. */
export async function renderFailure(
  report: ErrorReport,
  format: OutputFormat,
  style: Style,
): Promise<string> {
  if (format !== "text") return `${await serialise(format, { error: report })}\n`;
  const lines = [`${style.bold(style.red("error:"))} ${plain(headline(report))}`];
  const { issues = [] } = report;
  const [only] = issues;
  if (issues.length === 1 && only?.line !== undefined) lines.push(`  ${style.bold(whereIs(only))}`);
  if (issues.length > 1) lines.push(...issues.flatMap((issue) => issueLines(issue, style)));
  const saidAbove = issues.length > 1 && only?.hint === report.hint;
  if (!saidAbove && report.hint !== "") lines.push(`${style.cyan("hint:")} ${plain(report.hint)}`);
  return `${lines.join("\n")}\n`;
}

/** One issue: where, what, and the fix below it. */
export function issueLines(issue: Issue, style: Style): string[] {
  const place = issue.line === undefined && issue.message.startsWith(issue.path) ? "" : whereIs(issue);
  return [
    `  ${place === "" ? "" : `${style.bold(place)}  `}${plain(issue.message)}`,
    ...(issue.hint === "" ? [] : [`    ${style.cyan("hint:")} ${plain(issue.hint)}`]),
  ];
}

/** A message that only begins to list its issues gives way to their number, as all of them follow. */
function headline({ message, issues = [] }: ErrorReport): string {
  const [first] = issues;
  return first !== undefined && issues.length > 1 && message.includes(first.message)
    ? `${issues.length} problems`
    : message;
}

/** `workflow.yaml:12:5`, or the path where no line is known. */
function whereIs({ path, file = "workflow.yaml", line, column }: Issue): string {
  if (line === undefined) return plain(path);
  return [plain(file), line, column].filter((part) => part !== undefined).join(":");
}

/** The stack of a defect is what a bug report needs; it stands on stderr of this machine alone. */
function unforeseen(error: unknown, attempted: string): TentacularError {
  const known = toTentacularError(error, attempted);
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new TentacularError(known.code, known.message, {
    hint: `This is a defect of tntc; please report it with what follows.\n${detail.split("\n").slice(0, 4).join("\n")}`,
    cause: error,
  });
}
