import { Cron } from "croner";
import { checkShape, dotted, isRecord, type Path, type Problems, quoted, suggest } from "./problems.ts";
import { readSecretRef } from "./secret-ref.ts";
import { triggerShapes } from "./shape.ts";
import type { Trigger } from "./tentacle.ts";
import { textOf, textsOf } from "./text.ts";
import type { YamlNode } from "./yaml.ts";

const TYPES = Object.keys(triggerShapes);
const SUBJECT_TOKEN = /^[!-)+-\-/-=?-~]+$/;
const WEBHOOK_PATH = /^\/[A-Za-z0-9._~-]+(?:\/[A-Za-z0-9._~-]+)*$/;
/** The engine's own paths. */
const ENGINE_PATHS: ReadonlySet<string> = new Set(["/run", "/health"]);
const MAX_LENGTH = 200;

/** Reads one trigger; undefined when it has a problem. `name` and `enclave` are the tentacle's, where known. */
export function readTrigger(
  problems: Problems,
  path: Path,
  node: YamlNode,
  value: unknown,
  owner: { readonly name?: string; readonly enclave?: string },
): Trigger | undefined {
  const type = isRecord(value) ? value.type : value;
  switch (type) {
    case "manual":
      return isRecord(value) && checkShape(problems, path, triggerShapes.manual, value) === undefined
        ? undefined
        : { type };
    case "cron":
      return readCron(problems, path, node, value);
    case "queue":
      return readQueue(problems, path, node, value, owner);
    case "webhook":
      return readWebhook(problems, path, node, value);
    default: {
      const at = [...path, "type"];
      problems.error(
        isRecord(value) && "type" in value ? at : path,
        `${dotted(path)} has ${type === undefined || type === null ? "no type" : "an unknown type"}`,
        () => suggest(at, typeof type === "string" ? type : "", TYPES, `Types: ${TYPES.join(", ")}.`),
      );
      return undefined;
    }
  }
}

function readCron(problems: Problems, path: Path, node: YamlNode, value: unknown): Trigger | undefined {
  if (checkShape(problems, path, triggerShapes.cron, value) === undefined) return undefined;
  const schedule = textOf(node, "schedule") ?? "";
  const timezone = textOf(node, "timezone");
  const name = textOf(node, "name");
  if (timezone !== undefined && !isTimezone(timezone)) {
    const at = [...path, "timezone"];
    problems.error(at, `${dotted(at)} ${quoted(timezone)} is no time zone`, () =>
      suggest(
        at,
        timezone,
        Intl.supportedValuesOf("timeZone"),
        'Write an IANA name, for instance  timezone: "Europe/Berlin"',
      ),
    );
    return undefined;
  }
  const at = [...path, "schedule"];
  const problem = scheduleProblem(schedule);
  if (problem !== undefined) {
    problems.error(
      at,
      `${dotted(at)} ${quoted(schedule)} ${problem}`,
      'Write minute hour day-of-month month day-of-week, for instance  schedule: "0 9 * * *"',
    );
    return undefined;
  }
  return {
    type: "cron",
    schedule,
    ...(name !== undefined && { name }),
    ...(timezone !== undefined && { timezone }),
  };
}

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

function scheduleProblem(schedule: string): string | undefined {
  if (schedule.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters`;
  // croner also takes a date, which would run once: that is no schedule.
  if (/^\d{4}-/.test(schedule.trim())) return "is a date, not a cron expression";
  try {
    return new Cron(schedule, { paused: true, timezone: "UTC" }).nextRun() === null
      ? "never comes round"
      : undefined;
  } catch {
    return "is no cron expression";
  }
}

function readQueue(
  problems: Problems,
  path: Path,
  node: YamlNode,
  value: unknown,
  owner: { readonly name?: string; readonly enclave?: string },
): Trigger | undefined {
  if (checkShape(problems, path, triggerShapes.queue, value) === undefined) return undefined;
  const subject = textOf(node, "subject") ?? "";
  const problem = subjectProblem(subject, owner);
  if (problem === undefined) return { type: "queue", subject };
  const at = [...path, "subject"];
  problems.error(
    at,
    `${dotted(at)} ${quoted(subject)} ${problem}`,
    "Write a subject below the tentacle's own prefix, without it, for instance  subject: orders.created",
  );
  return undefined;
}

function subjectProblem(
  subject: string,
  owner: { readonly name?: string; readonly enclave?: string },
): string | undefined {
  if (subject === "") return "is empty";
  if (subject.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters`;
  const tokens = subject.split(".");
  for (const [index, token] of tokens.entries()) {
    if (token === "") return "has an empty token between its dots";
    if (token === "*" || (token === ">" && index === tokens.length - 1)) continue;
    if (token === ">") return "has > before its end";
    if (!SUBJECT_TOKEN.test(token))
      return `has the token ${quoted(token)}: * and > must stand alone, and only printable ASCII is allowed`;
  }
  if (tokens[0] !== "tentacular") return undefined;
  const [, enclave, name, ...rest] = tokens;
  if (rest.length === 0 || enclave === undefined || name === undefined)
    return "begins with tentacular. but is no tentacular.<enclave>.<name>.<subject>";
  const foreign =
    enclave === "*" ||
    (owner.enclave !== undefined && enclave !== owner.enclave) ||
    (owner.name !== undefined && name !== owner.name);
  return foreign ? "lies outside the tentacle's own prefix" : undefined;
}

/** The subject to subscribe to: `subject` below `prefix` (which ends with a dot), unless it has it already. */
export function absoluteSubject(subject: string, prefix: string): string {
  return subject.startsWith(prefix) ? subject : `${prefix}${subject}`;
}

function readWebhook(problems: Problems, path: Path, node: YamlNode, value: unknown): Trigger | undefined {
  if (checkShape(problems, path, triggerShapes.webhook, value) === undefined) return undefined;
  const written = textOf(node, "path") ?? "";
  const problem = webhookPathProblem(written);
  if (problem !== undefined) {
    const at = [...path, "path"];
    problems.error(
      at,
      `${dotted(at)} ${quoted(written)} ${problem}`,
      "Write a path of letters, digits, '-', '_', '.', '~', for instance  path: /hooks/github",
    );
    return undefined;
  }
  const provider = textOf(node, "provider") === "github" ? "github" : undefined;
  const event = textOf(node, "event");
  const actions = textsOf(node, "actions");
  if (provider === undefined && (event !== undefined || actions.length > 0)) {
    const at = [...path, event === undefined ? "actions" : "event"];
    problems.error(
      at,
      `${dotted(at)} cannot be told from a call of an unknown provider`,
      "Add  provider: github , or leave event and actions out and look at the input in a node.",
    );
    return undefined;
  }
  const asked = textOf(node, "secret");
  if (asked === undefined)
    problems.warn(
      path,
      `anybody who reaches ${written} can start runs`,
      "Add  secret: hooks.token  and give its value with: tntc secrets set <tentacle> hooks.token",
    );
  const secret = asked === undefined ? undefined : readSecretRef(problems, [...path, "secret"], asked);
  if (asked !== undefined && secret === undefined) return undefined;
  return {
    type: "webhook",
    path: written,
    ...(provider !== undefined && { provider }),
    ...(secret !== undefined && { secret }),
    ...(event !== undefined && { event }),
    actions,
  };
}

function webhookPathProblem(path: string): string | undefined {
  if (path.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters`;
  if (!path.startsWith("/")) return "does not begin with /";
  if (!WEBHOOK_PATH.test(path)) return "is no plain URL path";
  if (path.split("/").some((part) => part === "." || part === "..")) return "has . or .. in it";
  if (ENGINE_PATHS.has(path)) return "is a path of the engine itself";
  return undefined;
}
