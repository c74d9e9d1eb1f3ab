import { spawn } from "node:child_process";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { startServe } from "../../src/serve.ts";
import {
  confirmDevice,
  type OidcOptions,
  refuseDevice,
  startOidcProvider,
} from "../support/oidc-provider.ts";
import { serveWith } from "./serve.ts";
import { listening } from "./sockets.ts";
import { binary, emptyFolder, type Ended, tntc } from "./tntc.ts";

const scopes = ["read", "deploy"];

/** The real server, which takes tokens of a real provider and knows ada. `resource` is what it says its address is. */
async function protectedServer({ resource, ...options }: Partial<OidcOptions> = {}) {
  // Stands before the server, whose address must be known before it starts.
  let port = 0;
  const sockets = new Set<Socket>();
  const front = createServer((incoming) => {
    const outgoing = connect(port, "127.0.0.1");
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy()).pipe(other);
    }
  });
  const url = `${await listening(front)}/mcp`;
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  const { issuer, provider } = await startOidcProvider({ resource: url, scopes, ...options });
  const folder = await emptyFolder();
  const policy = join(folder, "policy.yaml");
  await writeFile(policy, "rules:\n  - { subject: ada, enclaves: [team-a], scopes: [deploy] }\n");
  const server = await startServe({
    environment: {
      PATH: process.env.PATH,
      XDG_STATE_HOME: folder,
      TENTACULAR_LOG_LEVEL: "silent",
      TENTACULAR_HTTP_PORT: "0",
      TENTACULAR_HTTP_URL: resource ?? url,
      TENTACULAR_OIDC_ISSUER: issuer,
      TENTACULAR_OIDC_SCOPES: scopes.join(","),
      TENTACULAR_HTTP_POLICY_FILE: policy,
    },
  });
  onTestFinished(() => server.close());
  port = Number(new URL(server.url).port);
  return { url, issuer, provider };
}

/** Starts `tntc login` and gives the address that it shows. */
async function startLogin(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [binary, "login", ...args], {
    env: { PATH: process.env.PATH, XDG_CONFIG_HOME: "/nonexistent", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  onTestFinished(() => void child.kill());
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  const address = await new Promise<string>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      const [, shown] = /or open (\S+)\n/.exec(stderr) ?? [];
      if (shown !== undefined) resolve(shown);
    });
    void ended.then(() => reject(new Error(`tntc login ended: ${stderr}`)));
  });
  return { address, ended, interrupt: () => child.kill("SIGINT") };
}

async function loginsIn(state: string): Promise<string[]> {
  const folder = join(state, "tentacular", "logins");
  return (await readdir(folder)).filter((name) => name.endsWith(".json")).map((name) => join(folder, name));
}

function refreshTokenIn(login: string): string {
  return z.object({ refreshToken: z.string() }).parse(JSON.parse(login)).refreshToken;
}

/** Logs in as ada. */
async function loggedIn(options: Parameters<typeof protectedServer>[0] = {}) {
  const server = await protectedServer(options);
  const state = await emptyFolder();
  const env = { XDG_STATE_HOME: state, TNTC_SERVER: server.url };
  const login = await startLogin([], env);
  expect(await confirmDevice(login.address, "ada")).toContain("Sign-in Success");
  const ended = await login.ended;
  expect(ended.stderr).toContain("in a browser and enter the code");
  expect(ended.code).toBe(0);
  return { ...server, state, env, ended };
}

describe("by device code", () => {
  it("logs in, is known afterwards, and logs out at the issuer too", async () => {
    const { state, env, ended, url, provider } = await loggedIn();
    expect(ended.stdout).toBe(`Logged in at ${url}\nYou are oidc:ada\nYou may deploy in team-a\n`);
    const [file = ""] = await loginsIn(state);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const stored = await readFile(file, "utf8");
    const known = { server: url, name: "oidc:ada", grants: [{ scope: "deploy", enclaves: ["team-a"] }] };
    expect(await tntc(["whoami", "-o", "json"], { env })).toMatchObject({
      code: 0,
      stdout: `${JSON.stringify(known, null, 2)}\n`,
    });

    const refreshToken = refreshTokenIn(stored);
    expect(await provider.RefreshToken.find(refreshToken)).toBeDefined();
    expect(await tntc(["logout"], { env })).toMatchObject({ code: 0, stderr: "" });
    expect(await provider.RefreshToken.find(refreshToken)).toBeUndefined();
    expect(await loginsIn(state)).toEqual([]);
    const after = await tntc(["whoami"], { env });
    expect(after.code).toBe(8);
    expect(after.stderr).toContain("hint: Log in: `tntc login`.");
  });

  it("gets a new token when the old is over, one process after another", async () => {
    // Shorter than the margin before a token's end: each call finds it over.
    const { state, env } = await loggedIn({ accessTokenSeconds: 20 });
    const [file = ""] = await loginsIn(state);
    const before = await readFile(file, "utf8");
    // The provider takes a refresh token once, and ends the login when it is used twice.
    const all = await Promise.all([1, 2, 3].map(() => tntc(["whoami"], { env })));
    expect(all.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      [1, 2, 3].map(() => ({ code: 0, stderr: "" })),
    );
    expect(await readFile(file, "utf8")).not.toBe(before);
  });

  it("says that the login has ended when the issuer does not renew it", async () => {
    const { state, env, provider } = await loggedIn({ accessTokenSeconds: 20 });
    const [file = ""] = await loginsIn(state);
    const refreshToken = refreshTokenIn(await readFile(file, "utf8"));
    await (await provider.RefreshToken.find(refreshToken))?.destroy();
    const { code, stderr } = await tntc(["whoami"], { env });
    expect(code).toBe(8);
    expect(stderr).toMatch(/the login at \S+ has ended\nhint: Log in again: `tntc login`/);
  });

  it("stores nothing when the person refuses", async () => {
    const { url } = await protectedServer();
    const state = await emptyFolder();
    const login = await startLogin(["--server", url], { XDG_STATE_HOME: state });
    await refuseDevice(login.address);
    const { code, stderr } = await login.ended;
    expect(code).toBe(8);
    expect(stderr).toContain("the login was refused in the browser");
    expect(await readdir(state)).toEqual([]);
  });

  it("stops waiting at Ctrl-C", async () => {
    const { url } = await protectedServer();
    const state = await emptyFolder();
    const login = await startLogin(["--server", url], { XDG_STATE_HOME: state });
    login.interrupt();
    expect((await login.ended).code).toBe(130);
    expect(await readdir(state)).toEqual([]);
  });

  it("says which client the issuer must know", async () => {
    const { url } = await protectedServer();
    const { code, stderr } = await tntc(["login", "--server", url, "--client-id", "other"]);
    expect(code).toBe(8);
    expect(stderr).toMatch(/does not let the client other log in[^]*registers a public client/);
  });

  it("asks for no token that would open another server than the one it speaks to", async () => {
    const { url } = await protectedServer({ resource: "https://tentacular.example.com/mcp" });
    const { code, stderr } = await tntc(["login", "--server", url]);
    expect(code).toBe(4);
    expect(stderr).toContain("says that it is another one: https://tentacular.example.com/mcp");
  });
});

describe("with a token", () => {
  it("stores one that the server takes, for this server alone", async () => {
    const { TNTC_SERVER = "", TNTC_TOKEN_FILE = "" } = await serveWith({});
    const state = await emptyFolder();
    const env = { XDG_STATE_HOME: state };
    const stdin = await readFile(TNTC_TOKEN_FILE, "utf8");
    const login = await tntc(["login", "--token-stdin", "--server", TNTC_SERVER], { env, stdin });
    expect(login).toMatchObject({
      code: 0,
      stdout: `Logged in at ${TNTC_SERVER}\nYou are token:default\nYou may destroy in every enclave\n`,
    });
    expect(await tntc(["list", "--server", TNTC_SERVER], { env })).toMatchObject({ code: 0 });
    const other = await serveWith({});
    const elsewhere = await tntc(["list", "--server", other.TNTC_SERVER ?? ""], { env });
    expect(elsewhere.code).toBe(8);
    expect(elsewhere.stderr).toContain("wants to know who calls (HTTP 401)");
    expect(await tntc(["logout", "--server", TNTC_SERVER], { env })).toMatchObject({ code: 0 });
    expect(await tntc(["list", "--server", TNTC_SERVER], { env })).toMatchObject({ code: 8 });
  });

  it("stores none that the server does not take, and repeats none", async () => {
    const { TNTC_SERVER = "" } = await serveWith({});
    const state = await emptyFolder();
    const { code, stdout, stderr } = await tntc(["login", "--token-stdin", "--server", TNTC_SERVER], {
      env: { XDG_STATE_HOME: state },
      stdin: "wrong-token-of-mine",
    });
    expect({ code, stdout }).toEqual({ code: 8, stdout: "" });
    expect(stderr).not.toContain("wrong-token-of-mine");
    expect(stderr).toContain("does not accept the token (HTTP 401)\nhint: Nothing was stored.");
    expect(await readdir(state)).toEqual([]);
  });

  it.each([
    ["", "there is no token on stdin"],
    ["two words", "has characters that no token has"],
  ])("refuses %j", async (stdin, text) => {
    const { code, stderr } = await tntc(["login", "--token-stdin", "--server", "http://127.0.0.1:9"], {
      stdin,
    });
    expect(code).toBe(2);
    expect(stderr).toContain(text);
  });

  it("says how, where the server has no issuer and nobody can be asked", async () => {
    const { TNTC_SERVER = "" } = await serveWith({});
    const { code, stderr } = await tntc(["login", "--server", TNTC_SERVER]);
    expect(code).toBe(2);
    expect(stderr).toContain("tntc login --token-stdin < token");
  });

  it("is not needed on this machine", async () => {
    const { code, stderr } = await tntc(["login"]);
    expect(code).toBe(2);
    expect(stderr).toContain("needs no login");
  });

  it("tells when a token file wins over the login", async () => {
    const env = await serveWith({});
    const stdin = await readFile(env.TNTC_TOKEN_FILE ?? "", "utf8");
    const state = await emptyFolder();
    const { stderr } = await tntc(["login", "--token-stdin"], {
      env: { ...env, XDG_STATE_HOME: state },
      stdin,
    });
    expect(stderr).toContain("warning: a token file is named for this server");
  });
});

it("counts a login that cannot be read as none", async () => {
  const { TNTC_SERVER = "", TNTC_TOKEN_FILE = "" } = await serveWith({});
  const state = await emptyFolder();
  const env = { XDG_STATE_HOME: state, TNTC_SERVER };
  const stdin = await readFile(TNTC_TOKEN_FILE, "utf8");
  await tntc(["login", "--token-stdin"], { env, stdin });
  const [file = ""] = await loginsIn(state);
  await writeFile(file, '{"kind":"toke');
  expect(await tntc(["whoami"], { env })).toMatchObject({ code: 8 });
});
