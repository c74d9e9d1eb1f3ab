import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { InvalidInput } from "../../src/errors.ts";
import { readTentacleFolder } from "../../src/folder/read-folder.ts";

const CANARY = "canary-5d1f";
const workflow = "name: hello\nversion: 1\nnodes: { a: { path: nodes/a.ts } }\n";
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tentacular-folder-"));
  put("workflow.yaml", workflow);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, text: string | Uint8Array): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

async function refusal(folder = root): Promise<InvalidInput> {
  const error: unknown = await readTentacleFolder(folder).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof InvalidInput) return error;
  throw new Error("the folder was accepted, or the error is none for the author", { cause: error });
}

describe("a tentacle's folder", () => {
  test("gives workflow, code and secrets, and leaves the rest", async () => {
    put("nodes/a.ts", "export default () => 1;\r\n");
    put("lib/deep/b.mjs", "\uFEFFexport {};");
    put("data.json", "{}");
    for (const other of [
      "README.md",
      "package.json",
      "deno.json",
      ".git/config.json",
      "node_modules/x/index.js",
    ])
      put(other, "x");
    put(".secrets.yaml", `github: { token: "${CANARY}", pin: 0123 }\nplain: text\n`);
    put(".secrets/slack.json", '{"webhook_url":"https://x"}\n');
    put(".secrets/raw", `  ${CANARY}\n`);
    expect(await readTentacleFolder(root)).toEqual({
      workflow,
      files: {
        "nodes/a.ts": "export default () => 1;\r\n",
        "lib/deep/b.mjs": "\uFEFFexport {};",
        "data.json": "{}",
      },
      secrets: {
        github: { token: CANARY, pin: "0123" },
        plain: "text",
        slack: { webhook_url: "https://x" },
        raw: `  ${CANARY}`,
      },
    });
  });

  test("may be reached through a link, and link within itself", async () => {
    put("nodes/a.ts", "a");
    symlinkSync("a.ts", join(root, "nodes/b.ts"));
    const link = `${root}-link`;
    symlinkSync(root, link);
    try {
      expect(Object.keys((await readTentacleFolder(link)).files)).toEqual(["nodes/a.ts", "nodes/b.ts"]);
    } finally {
      rmSync(link);
    }
  });

  test.each([
    ["nodes/evil.ts", "/etc/passwd", /nodes\/evil\.ts is a link that leaves/],
    ["evil", "/etc", /evil is a link that leaves/],
    ["nodes/evil.json", "../../outside.json", /cannot be read|leaves/],
    ["workflow.yaml", "/etc/hostname", /workflow\.yaml is a link that leaves/],
    [".secrets.yaml", "/etc/passwd", /\.secrets\.yaml is a link that leaves/],
    [".secrets/github", "/etc/passwd", /\.secrets\/github is a link that leaves/],
    ["loop", ".", /leaves|link to a folder/],
    ["again", "nodes", /again is a link to a folder/],
  ])("refuses the link %s -> %s", async (path, target, message) => {
    put("nodes/a.ts", "a");
    rmSync(join(root, path), { force: true });
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(target, join(root, path));
    expect((await refusal()).message).toMatch(message);
  });

  test("fault 17: refuses a file of 1 GiB by its size, with size and limit", async () => {
    put("nodes/a.ts", "");
    truncateSync(join(root, "nodes/a.ts"), 2 ** 30);
    const before = process.memoryUsage().rss;
    expect((await refusal()).message).toBe("nodes/a.ts has 1 GiB; at most 512 KiB are allowed");
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20);
  });

  test("refuses a workflow.yaml and secrets over their limits", async () => {
    truncateSync(join(root, "workflow.yaml"), 2 ** 30);
    expect((await refusal()).message).toBe("workflow.yaml has 1 GiB; at most 256 KiB are allowed");
    put("workflow.yaml", workflow);
    put(".secrets/x", "");
    truncateSync(join(root, ".secrets/x"), 2 ** 30);
    expect((await refusal()).message).toBe(".secrets/x has 1 GiB; at most 256 KiB are allowed");
  });

  test("fault 17: refuses too many files, and too many bytes in all", async () => {
    for (let index = 0; index < 501; index += 1) put(`n/${index}.ts`, "");
    expect((await refusal()).message).toMatch(/more than 500 files of code/);
    rmSync(join(root, "n"), { recursive: true });
    for (let index = 0; index < 3; index += 1) put(`n/${index}.ts`, "x".repeat(400 * 1024));
    expect((await refusal()).message).toMatch(/more than 900 KiB/);
  });

  test("fault 17: gives up on a folder with very many entries", async () => {
    mkdirSync(join(root, "data"));
    for (let index = 0; index < 20_001; index += 1) writeFileSync(join(root, "data", String(index)), "");
    expect((await refusal()).message).toMatch(/more than 20000 entries/);
  });

  test.each([
    ["nodes/a.ts", new Uint8Array([0xff, 0xfe, 0]), /no UTF-8/],
    ["nodes/ä.ts", "x", /outside printable ASCII/],
    ["secrets/a.ts", "x", /a name that Tentacular itself writes/],
    [".secrets.yaml", `token: [${CANARY}]`, /token is neither a text/],
    [".secrets.yaml", `tentacular-postgres: { password: ${CANARY} }`, /name of a managed dependency/],
    [".secrets.yaml", `a: !${CANARY} x`, /\.secrets\.yaml, line 1, column \d+: this is not readable/],
    [".secrets.yaml", `a: ${CANARY}\na: ${CANARY}`, /line 2, column 1/],
    [".secrets.yaml", `- ${CANARY}`, /no mapping/],
    [".secrets", CANARY, /\.secrets is no folder/],
    [".secrets/a b", CANARY, /no usable name/],
  ])("refuses %s with %j and shows no secret", async (path, text, message) => {
    put(path, text);
    const error = await refusal();
    expect(error.message).toMatch(message);
    expect(JSON.stringify([error.report(), error.stack, error.cause])).not.toContain(CANARY);
  });

  test("refuses the same secret in both places", async () => {
    put(".secrets.yaml", "github: x");
    put(".secrets/github", "y");
    expect((await refusal()).message).toMatch(/github stands in \.secrets\.yaml and in \.secrets\//);
  });

  test("says what is missing", async () => {
    rmSync(join(root, "workflow.yaml"));
    expect((await refusal()).message).toMatch(/no workflow\.yaml in/);
    expect((await refusal(join(root, "nowhere"))).message).toMatch(/nowhere cannot be read/);
  });
});
