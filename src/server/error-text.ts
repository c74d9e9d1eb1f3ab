import type { ErrorReport, Issue } from "../errors.ts";
import { bullets, plain } from "./text.ts";

const MAX_ISSUES = 20;

/** An error as text that stands alone: what was attempted, what is wrong and where, what to do next. */
export function errorText(tool: string, report: ErrorReport): string {
  const issues = report.issues ?? [];
  return [
    `${tool} failed (${report.code}): ${plain(report.message, 600)}`,
    ...(issues.length === 0 && report.path !== undefined ? [`At: ${plain(report.path, 200)}`] : []),
    ...bullets(issues.map(issueText), MAX_ISSUES),
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

function issueText(issue: Issue): string {
  const position =
    issue.line === undefined
      ? ""
      : ` (line ${issue.line}${issue.column === undefined ? "" : `, column ${issue.column}`})`;
  // Most messages begin with the path, as they also stand alone.
  const message = issue.message.startsWith(issue.path)
    ? issue.message.slice(issue.path.length).replace(/^:? /, "")
    : issue.message;
  return `${plain(issue.path, 200)}${position}: ${plain(message)}. ${plain(issue.hint)}`;
}
