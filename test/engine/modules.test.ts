import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "tar";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { failureOf, oneNode, startEngine, type TestEngine } from "../support/engine.ts";

/** Packages of the registry of this test, each of one file. */
const packages: Readonly<Record<string, string>> = {
  "@scope/shout": 'export default (text) => text.toUpperCase(); export const from = "shout";',
};

let folder: string;
let server: Server;
let registry: string;
const asked: string[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-registry-"));
  const tarballs = new Map<string, Buffer>();
  for (const [name, source] of Object.entries(packages)) {
    const home = join(folder, name);
    await mkdir(join(home, "package"), { recursive: true });
    const manifest = {
      name,
      version: "1.2.3",
      type: "module",
      exports: { ".": "./index.js", "./sub": "./index.js" },
    };
    await writeFile(join(home, "package/package.json"), JSON.stringify(manifest));
    await writeFile(join(home, "package/index.js"), source);
    await create({ gzip: true, cwd: home, file: join(home, "package.tgz") }, ["package"]);
    tarballs.set(name, await readFile(join(home, "package.tgz")));
  }
  server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? "").slice(1);
    asked.push(path);
    const name = Object.keys(packages).find((known) => path === known || path === `${known}.tgz`);
    const tarball = tarballs.get(name ?? "");
    if (name === undefined || tarball === undefined) response.writeHead(404).end();
    else if (path.endsWith(".tgz")) response.end(tarball);
    else {
      const integrity = `sha512-${createHash("sha512").update(tarball).digest("base64")}`;
      const dist = { tarball: `${registry}${name}.tgz`, integrity };
      const versions = { "1.2.3": { name, version: "1.2.3", dist } };
      response.end(JSON.stringify({ name, "dist-tags": { latest: "1.2.3" }, versions }));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  registry = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}/`;
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

async function engineOf(dependencies: string, imports: string, body: string): Promise<TestEngine> {
  const { workflow, files } = oneNode(body, { dependencies });
  const source = `${imports}\n${files["nodes/main.ts"] ?? ""}`;
  return startEngine({
    workflow,
    files: { "nodes/main.ts": source },
    env: { NPM_CONFIG_REGISTRY: registry },
  });
}

describe("a module of the contract", () => {
  const declared = '{loud: {protocol: npm, host: "@scope/shout", version: "1.2.3"}}';

  it("is imported by its package name and by the dependency's name", async () => {
    const engine = await engineOf(
      declared,
      'import shout, { from } from "@scope/shout"; import same from "loud"; import sub from "@scope/shout/sub";',
      'return [shout("a"), same === shout, sub === shout, from];',
    );
    expect(await engine.run()).toMatchObject({ ok: true, result: ["A", true, true, "shout"] });
    await engine.stop();
    // Downloading went past the permissions of the nodes, who may not reach the registry.
    expect(asked).toContain("@scope/shout.tgz");
  });

  it("gives the nodes no way to the registry, nor to modules by URL", async () => {
    const engine = await engineOf(declared, "", "return await (await import(input.from)).default;");
    for (const from of [`${registry}other.js`, "https://esm.sh/other", "jsr:@scope/other"])
      expect(failureOf(await engine.run({ from })).message).toMatch(/--no-remote|import access/);
    await engine.stop();
  });
});

it("without a module in the contract, no registry is asked", async () => {
  const before = asked.length;
  const engine = await engineOf("{}", "", 'return await import("npm:other@1.2.3");');
  expect(failureOf(await engine.run()).hint).toContain("Declare the module");
  await engine.stop();
  expect(asked.length).toBe(before);
});
