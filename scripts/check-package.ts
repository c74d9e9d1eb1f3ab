/**
 * Checks the package as its user gets it: packs it, installs the tarball into an empty folder, walks the demo with the
 * installed `tntc`, and reaches the server through the MCP configuration that it prints. Prints one line a check.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { z } from "zod";

const root = new URL("..", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "tentacular-package-"));
// Run by root, Postgres is another user, who must get through to its own folder here.
const stateDir = join(folder, "state/tentacular");
mkdirSync(stateDir, { recursive: true });
for (const path of [folder, stateDir]) chmodSync(path, 0o711);
const { PATH = "", HOME = "" } = process.env;
const env = { PATH, HOME, XDG_STATE_HOME: join(folder, "state") };

function run(command: string, args: readonly string[], cwd: string): string {
  return execFileSync(command, args, {
    cwd,
    env: { ...process.env, ...env },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
}

/** What a user's disk holds, the largest first: all that the package needs is in it but for what cannot be. */
function printInstalled(): void {
  const modules = join(folder, "node_modules");
  const kib = (path: string): number =>
    Number(run("du", ["-sk", "--apparent-size", path], folder).split("\t")[0]);
  const packages = readdirSync(modules)
    .filter((name) => !name.startsWith("."))
    .flatMap((name) =>
      name.startsWith("@") ? readdirSync(join(modules, name)).map((one) => `${name}/${one}`) : [name],
    )
    .map((name) => ({ name, mib: kib(join(modules, name)) / 1024 }))
    .toSorted((one, other) => other.mib - one.mib);
  const largest = packages.slice(0, 4).map(({ name, mib }) => `${name} ${mib.toFixed(1)}`);
  const total = (kib(modules) / 1024).toFixed(1);
  console.log(`installed ${packages.length} packages, ${total} MiB: ${largest.join(", ")} …`);
}

try {
  const packed = z
    .array(z.object({ filename: z.string(), size: z.number(), unpackedSize: z.number() }))
    .min(1)
    .parse(
      JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], root)),
    );
  const [{ filename, size }] = z.tuple([z.object({ filename: z.string(), size: z.number() })]).parse(packed);
  console.log(`packed ${filename}: ${Math.round(size / 1024)} KiB`);

  run("npm", ["init", "--yes"], folder);
  run("npm", ["install", "--no-audit", "--no-fund", join(folder, filename)], folder);
  printInstalled();
  const main = join(folder, "node_modules/tentacular/dist/src/main.js");
  if (!existsSync(join(folder, "node_modules/.bin/tntc"))) throw new Error("the package brings no tntc");
  const tntc = (...args: string[]): string => run(process.execPath, [main, ...args], folder);
  console.log(`installed tntc ${tntc("--version").trim()}`);

  const demo = z
    .object({ ok: z.literal(true), seconds: z.number(), proofs: z.array(z.string()).min(8) })
    .parse(JSON.parse(tntc("demo", "-o", "json")));
  console.log(`its demo proved ${demo.proofs.length} claims in ${demo.seconds} s`);

  const config = z
    .object({
      mcpServers: z.object({ tentacular: z.object({ command: z.string(), args: z.array(z.string()) }) }),
    })
    .parse(JSON.parse(tntc("mcp", "config", "--client", "claude-desktop", "-o", "json")));
  const client = new Client({ name: "package-check", version: "1" });
  await client.connect(new StdioClientTransport({ ...config.mcpServers.tentacular, env }));
  const { tools } = await client.listTools();
  const info = await client.callTool({ name: "enclave_info", arguments: {} }, undefined, {
    timeout: 120_000,
  });
  await client.close();
  if (info.isError === true) throw new Error(`enclave_info failed: ${JSON.stringify(info.content)}`);
  console.log(
    `a client reached it through the printed configuration: ${tools.map(({ name }) => name).join(", ")}`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
