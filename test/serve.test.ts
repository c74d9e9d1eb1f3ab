import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { z } from "zod";
import { startServe, type RunningServe } from "../src/serve.ts";
import { newToken } from "../src/server/http.ts";
import { binary } from "./cli/tntc.ts";
import { connect } from "./support/mcp.ts";

let folder: string;
let server: RunningServe | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-serve-"));
});

afterEach(async () => {
  await server?.close();
  server = undefined;
  await rm(folder, { recursive: true, force: true });
});

const hashOf = (token: string) => createHash("sha256").update(token).digest("hex");
const base = () => ({
  PATH: process.env.PATH,
  XDG_STATE_HOME: folder,
  TENTACULAR_LOG_LEVEL: "silent",
  TENTACULAR_HTTP_PORT: "0",
});

it("serves on loopback with a token that it makes and keeps for its owner", async () => {
  server = await startServe({ environment: base() });
  const tokenFile = server.tokenFile ?? "";
  expect((await stat(tokenFile)).mode & 0o777).toBe(0o600);
  const token = await readFile(tokenFile, "utf8");
  const client = await connect({ kind: "http", url: server.url, token });
  expect(await client.call("enclave_info")).toMatchObject({ isError: false });
  await client.close();
  await server.close();
  server = await startServe({ environment: base() });
  expect(await readFile(tokenFile, "utf8")).toBe(token);
});

it("refuses to be public without a token, or without its names", async () => {
  const open = { ...base(), TENTACULAR_HTTP_HOST: "0.0.0.0" };
  await expect(startServe({ environment: open })).rejects.toMatchObject({
    code: "invalid_input",
    path: "TENTACULAR_HTTP_TOKEN",
  });
  await expect(startServe({ environment: { ...open, TENTACULAR_HTTP_TOKEN: newToken() } })).rejects.toThrow(
    /without the names it is called by/,
  );
  await expect(startServe({ environment: { ...open, TENTACULAR_HTTP_TOKEN: "too-short" } })).rejects.toThrow(
    /TENTACULAR_HTTP_TOKEN/,
  );
});

it("offers nothing that changes anything when it is read-only", async () => {
  const token = newToken();
  const environment = { ...base(), TENTACULAR_HTTP_TOKEN: token, TENTACULAR_HTTP_READ_ONLY: "true" };
  server = await startServe({ environment });
  const client = await connect({ kind: "http", url: server.url, token });
  const listed = z.array(z.object({ name: z.string() })).parse(await client.listTools());
  expect(listed.map(({ name }) => name)).toEqual(["enclave_info", "status", "logs"]);
  expect(await client.call("enclave_info")).toMatchObject({ isError: false });
  expect(await client.call("undeploy", { name: "x" })).toMatchObject({
    isError: true,
    structured: { code: "not_enabled", message: "undeploy changes something, and this server is read-only" },
  });
  expect(client.instructions()).toMatch(/You may look, and change nothing/);
  expect(client.instructions()).not.toMatch(/deploy with|tntc secrets set/);
  await client.close();
});

it("lets each named caller do what the policy gives, and takes what changes in the files at once", async () => {
  const [anna, ben, eve] = [newToken(), newToken(), newToken()];
  const tokens = join(folder, "tokens");
  const policy = join(folder, "policy.yaml");
  const audit = join(folder, "audit.jsonl");
  const rule = (token: string, enclave: string, scope: string) =>
    `  - { token: ${token}, enclaves: [${enclave}], scopes: [${scope}] }\n`;
  await writeFile(tokens, `anna: ${anna}\nben: sha256:${hashOf(ben)}\neve: ${eve}\n`);
  await writeFile(policy, `rules:\n${rule("anna", "team-a", "destroy")}${rule("ben", "team-b", "read")}`);
  server = await startServe({
    environment: {
      ...base(),
      TENTACULAR_HTTP_TOKENS_FILE: tokens,
      TENTACULAR_HTTP_POLICY_FILE: policy,
      TENTACULAR_AUDIT_FILE: audit,
    },
    watchMs: 20,
  });
  const { url } = server;
  expect(server.tokenFile).toBeUndefined();
  const asAnna = await connect({ kind: "http", url, token: anna });
  expect(await asAnna.call("enclave", { action: "provision", enclave: "team-a" })).toMatchObject({
    isError: false,
  });
  expect(await asAnna.call("enclave_info")).toMatchObject({ structured: { enclave: "team-a" } });
  const asBen = await connect({ kind: "http", url, token: ben });
  const offered = z.array(z.object({ name: z.string() })).parse(await asBen.listTools());
  expect(offered.map(({ name }) => name)).toEqual(["enclave_info", "status", "logs"]);
  expect(await asBen.call("status", { enclave: "team-a" })).toMatchObject({
    isError: true,
    structured: { code: "invalid_input", message: 'enclave "team-a" does not exist' },
  });
  // Known by a token, but to no rule of the policy.
  const asEve = await fetch(url, { method: "POST", headers: { authorization: `Bearer ${eve}` } });
  expect([asEve.status, await asEve.text()]).toEqual([
    403,
    expect.stringMatching(/token:eve may do nothing here. Ask the operator/),
  ]);
  const lines = (await readFile(audit, "utf8")).trim().split("\n");
  expect(lines.map((line) => z.object({ caller: z.string() }).parse(JSON.parse(line)).caller)).toContain(
    "token:anna",
  );

  // A file that cannot be read as it should changes nothing; one that can counts for calls already connected.
  await writeFile(policy, "rules: [nonsense]");
  await writeFile(policy, `rules:\n${rule("ben", "team-b", "deploy")}`);
  await vi.waitFor(async () => expect((await asBen.listTools()).length).toBe(9), { timeout: 20_000 });
  await expect(asAnna.call("enclave_info")).rejects.toThrow();
  await writeFile(tokens, `eve: ${eve}\n`);
  await vi.waitFor(() => expect(asBen.listTools()).rejects.toThrow(), {
    timeout: 20_000,
  });
  await Promise.all([asAnna, asBen].map((client) => client.close()));
});

it("does not start with a policy that it does not understand", async () => {
  const file = join(folder, "policy.yaml");
  await writeFile(file, "rules:\n  - { tokn: a, enclaves: [a], scopes: [read] }\n");
  const environment = { ...base(), TENTACULAR_HTTP_POLICY_FILE: file };
  await expect(startServe({ environment })).rejects.toThrow(/line 2, column 7: unknown key "tokn"/);
});

it("uses a new token, and new settings, when their files change", async () => {
  const [first, second] = [newToken(), newToken()];
  const tokenFile = join(folder, "token");
  const passwordFile = join(folder, "password");
  await writeFile(tokenFile, `${first}\n`);
  await writeFile(passwordFile, "one");
  server = await startServe({
    environment: {
      ...base(),
      TENTACULAR_HTTP_TOKEN_FILE: tokenFile,
      TENTACULAR_POSTGRES_ADMIN_HOST: "127.0.0.1",
      TENTACULAR_POSTGRES_ADMIN_PORT: "1",
      TENTACULAR_POSTGRES_ADMIN_USER: "nobody",
      TENTACULAR_POSTGRES_ADMIN_PASSWORD_FILE: passwordFile,
    },
    watchMs: 20,
  });
  const { url } = server;
  expect(server.tokenFile).toBeUndefined();
  const old = await connect({ kind: "http", url, token: first });
  expect(await old.call("enclave_info")).toMatchObject({ isError: false });
  // A token that may not be used changes nothing.
  await writeFile(tokenFile, "short\n");
  await writeFile(tokenFile, `${second}\n`);
  await vi.waitFor(
    async () => {
      const client = await connect({ kind: "http", url, token: second });
      expect(await client.call("enclave_info")).toMatchObject({ isError: false });
      await client.close();
    },
    { timeout: 20_000 },
  );
  await expect(connect({ kind: "http", url, token: first })).rejects.toThrow();
});

it("ends by SIGTERM with exit code 0, and keeps stdout for its address", async () => {
  const child = spawn(process.execPath, [binary, "serve", "-o", "json"], {
    env: base(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  const answer = z.strictObject({ url: z.url(), token_file: z.string() });
  const { url } = await vi.waitFor(() => answer.parse(JSON.parse(stdout)), { timeout: 30_000 });
  expect((await fetch(new URL("/readyz", url))).status).toBe(200);
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
  expect(answer.safeParse(JSON.parse(stdout)).success).toBe(true);
});
