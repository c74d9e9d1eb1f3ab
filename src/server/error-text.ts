import type { ErrorReport, Issue } from "../errors.ts";
import { bullets, plain } from "./text.ts";

const MAX_ISSUES = 20;

/** An error as text that stands alone: what was attempted, what is wrong and where, what to do next. */
export function errorText(tool: string, report: ErrorReport): string {
  const issues = report.issues ?? [];
  const [only] = issues;
  // Message and hint of the error are those of its only issue.
  const isSaid = issues.length === 1 && only?.hint === report.hint && report.message.includes(only.message);
  const place = isSaid ? whereIs(only) : plain(report.path ?? "", 200);
  return [
    `${tool} failed (${report.code}): ${plain(report.message, 600)}`,
    ...((issues.length === 0 || isSaid) && place !== "" ? [`At: ${place}`] : []),
    ...bullets(isSaid ? [] : issues.map(issueText), MAX_ISSUES),
    `Next: ${plain(report.hint, 600)}`,
  ].join("\n");
}

/** What a program reads of an error, bounded. */
export function boundedReport(report: ErrorReport): ErrorReport {
  return {
    ...report,
    message: plain(report.message, 600),
    hint: plain(report.hint, 600),
    ...(report.issues !== undefined && { issues: report.issues.slice(0, MAX_ISSUES).map(boundedIssue) }),
  };
}

function boundedIssue(issue: Issue): Issue {
  const { path, message, hint } = issue;
  return { ...issue, path: plain(path, 200), message: plain(message), hint: plain(hint) };
}

function whereIs({ path, line, column }: Issue): string {
  const position =
    line === undefined ? "" : ` (line ${line}${column === undefined ? "" : `, column ${column}`})`;
  return `${plain(path, 200)}${position}`;
}

function issueText(issue: Issue): string {
  // Most messages begin with the path, as they also stand alone.
  const message = issue.message.startsWith(issue.path)
    ? issue.message.slice(issue.path.length).replace(/^:? /, "")
    : issue.message;
  return `${whereIs(issue)}: ${plain(message)}. ${plain(issue.hint)}`;
}
