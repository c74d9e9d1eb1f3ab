import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { leaksIn } from "./support/leaks.ts";

/** Has what each encoding changes: `&` and space in a URL, quote and backslash in JSON. */
const SECRET = 'canary "one"\\/&+ 7f3a9c';

const PROGRAM = `
  const { createLogger } = await import(process.argv[1]);
  const { createRedactor } = await import(process.argv[2]);
  const redactor = createRedactor();
  const log = createLogger("debug", redactor);
  redactor.add(process.argv[3]);
  const secret = process.argv[3];
  const cause = new Error("refused " + secret, { cause: new Error(encodeURIComponent(secret)) });
  const error = Object.assign(new Error("failed", { cause }), { query: JSON.stringify({ password: secret }) });
  log.debug({ deep: [{ url: "postgres://u:" + encodeURIComponent(secret) + "@h" }] }, "plain");
  log.warn({ err: error, [secret]: 1 }, "of " + secret);
  log.error({ header: "Basic " + Buffer.from("user:" + secret).toString("base64") }, "stays");
`;

test("no secret passes the log, in fields, keys, messages, errors, their causes and stacks", async () => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    "--input-type=module",
    "--eval",
    PROGRAM,
    join(import.meta.dirname, "../src/log.ts"),
    join(import.meta.dirname, "../src/redact.ts"),
    SECRET,
  ]);
  expect(stdout).toBe("");
  const lines = stderr
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  expect(lines).toMatchObject([
    { level: 20, msg: "plain", deep: [{ url: "postgres://u:[redacted]@h" }] },
    { level: 40, msg: "of [redacted]", "[redacted]": 1, err: { type: "Error" } },
    { level: 50, msg: "stays" },
  ]);
  expect(stderr).toContain("caused by: Error: refused [redacted]");
  expect(leaksIn(stderr, SECRET)).toEqual([]);
});
