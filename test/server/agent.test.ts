import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, inject, it } from "vitest";
import { type Document, parse, parseDocument } from "yaml";
import * as z from "zod";
import { connect, eras, type TestClient, testService } from "../support/mcp.ts";
import { clearEnclave, createTestPlatform, freshName, type TestPlatform } from "../support/platform.ts";

/** An agent that knows nothing but to do what results and errors say: which tool is next, which change mends what. */
const toolSchema = z.object({ name: z.string(), description: z.string() });
const fixSchema = z.object({
  op: z.enum(["remove", "set"]),
  path: z.array(z.union([z.string(), z.number()])),
  value: z.unknown().optional(),
});
const errorSchema = z.object({
  code: z.string(),
  fix: z.array(fixSchema).default([]),
  issues: z.array(z.object({ fix: z.array(fixSchema).default([]) })).default([]),
});
const failedRunSchema = z.object({ ok: z.literal(false), error: z.object({ hint: z.string() }) });

interface Draft {
  workflow: string;
  readonly files: Readonly<Record<string, string>>;
}

/** Works on the draft until something has run; gives what it was told on the way. */
async function work(client: TestClient, draft: Draft): Promise<readonly string[]> {
  const told: string[] = [];
  const listed = z.array(toolSchema).parse(await client.listTools());
  const named = (text: string): string => {
    // The first tool that is named: the step before the others.
    const [found] = listed
      .map(({ name }) => ({ name, at: text.search(new RegExp(`\\b${name}\\b`)) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at);
    if (found === undefined) throw new Error(`no next tool in: ${text}`);
    return found.name;
  };
  let next = listed.find(({ description }) => description.includes("Call it first"))?.name ?? "";
  let args: Record<string, unknown> = {};
  for (let turn = 0; turn < 12; turn++) {
    const { isError, text, structured } = await client.call(next, args);
    told.push(isError ? `${next}: ${errorSchema.parse(structured).code}` : next);
    const { success, data: run } = failedRunSchema.safeParse(structured);
    if (isError) mend(draft, errorSchema.parse(structured), text);
    else if (success) declare(draft, run.error.hint);
    else if (text.includes(" ran in ")) return told;
    const wanted = /^Next: (.*)$/m.exec(text)?.[1] ?? "";
    const argument = (name: string): string | undefined => new RegExp(`${name} "([^"]+)"`).exec(wanted)?.[1];
    const name = argument("name");
    if (isError) args = { ...args, ...draft };
    else if (!success && name !== undefined) {
      next = named(wanted);
      args = { name, enclave: argument("enclave") };
    } else {
      next = named(/\bdeploy\b.*/.exec(wanted)?.[0] ?? wanted);
      args = { ...draft, ...(wanted.includes("dry_run: true") && { dry_run: true }) };
    }
  }
  throw new Error(`came to no end: ${told.join(", ")}`);
}

function mend(draft: Draft, { fix, issues }: z.infer<typeof errorSchema>, text: string): void {
  const fixes = issues.length > 0 ? issues.flatMap((issue) => issue.fix) : fix;
  if (fixes.length === 0) throw new Error(`nothing to do about: ${text}`);
  const document: Document = parseDocument(draft.workflow);
  for (const { op, path, value } of fixes)
    if (op === "remove") document.deleteIn(path);
    else document.setIn(path, value);
  draft.workflow = document.toString();
}

/** Merges the lines of a hint into workflow.yaml. */
function declare(draft: Draft, hint: string): void {
  const document: Document = parseDocument(draft.workflow);
  const merge = (path: readonly string[], value: unknown): void => {
    if (typeof value !== "object" || value === null) document.setIn(path, value);
    else for (const [key, item] of Object.entries(value)) merge([...path, key], item);
  };
  merge([], parse(hint.slice(hint.indexOf("\n") + 1)));
  draft.workflow = document.toString();
}

let platform: TestPlatform;
const enclave = freshName("agent");
const outside = createServer((_request, response) => response.end("from outside"));
let port = 0;

beforeAll(async () => {
  platform = await createTestPlatform(inject("services"), ["postgres"], { TENTACULAR_ENCLAVE: enclave });
  outside.listen(0, "127.0.0.1");
  await once(outside, "listening");
  port = addressOf(outside.address()).port;
});
afterAll(async () => {
  await clearEnclave(platform, enclave);
  await platform.close();
  outside.close();
});

function addressOf(address: string | AddressInfo | null): AddressInfo {
  if (typeof address !== "object" || address === null) throw new Error("not listening");
  return address;
}

it.each(eras)(
  "an agent of the %s protocol that only follows hints gets a wrong draft to run",
  async (era) => {
    const service = testService({ host: async () => ({ operations: platform.operations }) });
    const client = await connect({ kind: "memory", service }, era);
    // A service this installation does not have, a misspelt one, a host by hand, a circle, and a host that is not declared.
    const draft: Draft = {
      workflow: `name: wrong-draft-${era}
version: "1.0"
nodes:
  fetch: { path: nodes/fetch.ts, description: Asks somebody outside }
  store: { path: nodes/store.ts, description: Stores the answer }
edges:
  - { from: fetch, to: store }
  - { from: store, to: fetch }
contract:
  version: "1"
  dependencies:
    tentacular-rustfs:
    tentacular-nats: { host: nats.example.com }
    tentacular-postgers:
`,
      files: {
        "nodes/fetch.ts": `export default async () => ({ said: await (await fetch("http://127.0.0.1:${port}/")).text() });\n`,
        "nodes/store.ts": `export default async (ctx, { said }) => {
        if (!ctx.has("tentacular-postgres")) return { said };
        const [row] = await ctx.dependency("tentacular-postgres").sql\`select \${said}::text as said\`;
        return { said: row.said };
      };\n`,
      },
    };
    const told = await work(client, draft);
    console.info(`the agent's way: ${told.join(" -> ")}`);
    expect(told[0]).toBe("enclave_info");
    expect(told).toContain("deploy: invalid_input");
    expect(told).toContain("deploy: not_enabled");
    expect(told.at(-1)).toBe("run");
    const status = await client.call("status", { name: `wrong-draft-${era}` });
    expect(status.structured).toMatchObject({ state: "ready" });
    const run = await client.call("run", { name: `wrong-draft-${era}` });
    expect(run.structured).toMatchObject({ ok: true, result: { said: "from outside" } });
    await client.close();
  },
);
