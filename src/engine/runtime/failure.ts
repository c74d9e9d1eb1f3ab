import type { RunFailure } from "../../cluster/cluster.ts";
import { deno } from "./deno.ts";

/** An error whose message and hint are the engine's own words. */
export class NodeError extends Error {
  readonly hint: string;
  /** Would the same fail again? Then it is not tried again. */
  readonly final: boolean;

  constructor(message: string, options: { readonly hint: string; readonly final?: boolean }) {
    super(message);
    this.name = "NodeError";
    this.hint = options.hint;
    this.final = options.final ?? false;
  }
}

const MAX_MESSAGE = 2_000;
const MAX_CAUSES = 3;
const UNPRINTABLE = /\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/gu;

/** What a caller is told of an error that a node threw: one line, bounded, without control characters. */
export function describeFailure(error: unknown): RunFailure {
  const message = clean(textOf(error));
  const hint = error instanceof NodeError ? error.hint : hintFor(message);
  return { message, ...(hint !== undefined && { hint }) };
}

/** One bounded line without terminal sequences. */
export function clean(text: string): string {
  const cut = text.slice(0, MAX_MESSAGE * 4);
  // eslint-disable-next-line no-control-regex -- colour sequences, whose letters would stay when only ESC goes
  const plain = cut.replaceAll(/\u001b\[[0-9;]*[A-Za-z]/g, "").replaceAll(UNPRINTABLE, " ");
  return plain.length <= MAX_MESSAGE ? plain : `${plain.slice(0, MAX_MESSAGE)}…`;
}

function textOf(error: unknown, depth = 0): string {
  try {
    if (!(error instanceof Error)) return `threw ${deno.inspect(error, { depth: 2, breakLength: Infinity })}`;
    // What a connection to a name with several addresses fails with.
    if (error instanceof AggregateError && error.message === "" && error.errors.length > 0)
      return error.errors.map((inner) => textOf(inner, depth + 1)).join("; ");
    const code = "code" in error && typeof error.code === "string" ? ` (${error.code})` : "";
    const name = error.name === "Error" || error instanceof NodeError ? "" : `${error.name}: `;
    const text = `${name}${error.message}${error.message.includes(code.slice(2, -1)) ? "" : code}`;
    // Deno's `fetch failed` says why in its cause alone.
    return error.cause instanceof Error && depth < MAX_CAUSES
      ? `${text}: ${textOf(error.cause, depth + 1)}`
      : text;
  } catch {
    return "threw something that cannot be shown";
  }
}

/** The lines that declare a dependency, which a program can merge into workflow.yaml as they are. */
export function declare(entry: string): string {
  return `Add to workflow.yaml, then deploy again:\ncontract:\n  dependencies:\n    ${entry}`;
}

/** The usual mistakes, by what Deno and the client libraries say of them. */
const HINTS: readonly (readonly [RegExp, (match: RegExpExecArray) => string])[] = [
  [
    /Requires net access to "([A-Za-z0-9.-]{1,253}):(\d{1,5})"/,
    ([, host = "", port = ""]) => {
      const name = `host-${host.toLowerCase().replaceAll(".", "-")}`.slice(0, 60);
      const protocol = port === "80" ? "http" : "https";
      return declare(`${name}: {protocol: ${protocol}, host: ${JSON.stringify(host)}, port: ${port}}`);
    },
  ],
  [
    /Requires net access to "([^"]+)"/,
    ([, target = ""]) =>
      `The contract does not allow ${target}. Declare it in contract.dependencies, with this host and port as written: {protocol: https, host: …, port: …}.`,
  ],
  [
    /getaddrinfo EPERM (\S+)/,
    ([, host = ""]) =>
      `The contract does not allow ${host}. Declare it in contract.dependencies: {protocol: …, host: ${host}, port: …}.`,
  ],
  [
    /Requires import access/,
    () => "Modules come from the npm and jsr packages that contract.dependencies names, never from a URL.",
  ],
  [/Requires read access/, () => "A node reads its tentacle's own files only. Hand data in as input."],
  [/Requires write access/, () => "A node has no disk. Keep data in a declared dependency."],
  [
    /Requires env access/,
    () => "A node has no environment. Use ctx.config, ctx.secrets or ctx.dependency(...).",
  ],
  [/Requires (run|ffi|sys) access/, () => "A node starts no programs and loads no native code."],
  [
    /--no-npm is specified|--no-remote is specified/,
    () =>
      'Declare the module in contract.dependencies: {protocol: npm, host: "@scope/name", version: "1.2.3"}.',
  ],
  [
    /ECONNREFUSED|Connection refused|ENOTFOUND|CONNECT_TIMEOUT|ETIMEDOUT/i,
    () => "The service does not answer. `tntc status --detail` shows the state of each dependency.",
  ],
  [
    /CaUsedAsEndEntity/,
    () =>
      "The server shows the certificate of its authority as its own. The operator must let an authority sign one for the server.",
  ],
  [
    /28P01|28000|Authorization Violation|InvalidAccessKeyId|SignatureDoesNotMatch/i,
    () => "The credentials are refused. Deploy again: that repairs them.",
  ],
  [
    /permission denied for schema public|no schema has been selected/,
    () => "Make tables in the tentacle's own schema, which is the search path: name them without a schema.",
  ],
];

function hintFor(message: string): string | undefined {
  for (const [pattern, hint] of HINTS) {
    const match = pattern.exec(message);
    if (match !== null) return hint(match).split("\n").map(clean).join("\n");
  }
  return undefined;
}
