import { readFile, writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, type TestContext } from "vitest";
import { createCertificate } from "../support/certificates.ts";
import { type Fate, startHttpProxy } from "../support/http-proxy.ts";
import { serveWith } from "./serve.ts";
import { listening } from "./sockets.ts";
import { emptyFolder, tntc } from "./tntc.ts";

/** A plain HTTP server that answers everything alike. */
async function answering(listener: RequestListener): Promise<string> {
  return listening(createServer(listener));
}

async function tokenFile(): Promise<string> {
  const path = join(await emptyFolder(), "token");
  await writeFile(path, "not-the-token\n");
  return path;
}

it("tells a server that is not there", async () => {
  const server = createTcpServer();
  const url = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  const { code, stderr } = await tntc(["list", "--server", url]);
  expect(code).toBe(7);
  expect(stderr).toContain(
    `error: the server at ${url} cannot be reached: nothing listens there\nhint: Check that`,
  );
});

it("tells a name that nobody knows", async () => {
  const { code, stderr } = await tntc(["list", "--server", "http://tentacular.invalid/mcp"]);
  expect(code).toBe(7);
  expect(stderr).toContain("cannot be reached: its name is not known");
});

it("tells a connection that is cut", async () => {
  const url = await listening(createTcpServer((socket) => socket.destroy()));
  const { code, stderr } = await tntc(["list", "--server", url]);
  expect(code).toBe(7);
  expect(stderr).toContain("cannot be reached: it closed the connection");
});

it.each([
  [401, 8, /does not accept the token[^]*--token-file[^]*tntc login/],
  [403, 8, /denies access[^]*tntc whoami/],
  [404, 4, /serves no MCP at this path[^]*usually \/mcp/],
  [429, 4, /asked too often/],
  [502, 4, /failed \(HTTP 502\)[^]*its operator/i],
])("tells HTTP %i", async (status, exitCode, text) => {
  const url = await answering((_request, response) => response.writeHead(status).end("no"));
  const { code, stdout, stderr } = await tntc(["list", "--server", url, "--token-file", await tokenFile()]);
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: "" });
  expect(stderr).toMatch(text);
  expect(stderr).not.toContain("not-the-token");
});

it("sends who gave no token to log in", async () => {
  const { TNTC_SERVER = "" } = await serveWith({});
  const { code, stderr } = await tntc(["list"], { env: { TNTC_SERVER } });
  expect(code).toBe(8);
  expect(stderr).toMatch(/wants to know who calls \(HTTP 401\)\nhint: Log in: `tntc login`/);
});

it.each(["cut before", "cut after"] as const)("tells a call that is %s it was answered", async (fate) => {
  const env = await serveWith({});
  const proxy = await startHttpProxy(env.TNTC_SERVER ?? "");
  onTestFinished(() => proxy.close());
  proxy.decide(({ body }) => (body.includes('"tools/call"') ? fate : "pass"));
  const { code, stdout, stderr } = await tntc(["list", "--server", `${proxy.endpoint}/mcp`], { env });
  expect({ code, stdout }).toEqual({ code: 7, stdout: "" });
  expect(stderr).toMatch(/the connection to \S+ was lost[^]*look with `tntc list` before you try again/);
});

/** A server of today behind a proxy that gives the first request this fate. */
async function behindProxy(fate: Fate) {
  const env = await serveWith({});
  const proxy = await startHttpProxy(env.TNTC_SERVER ?? "");
  onTestFinished(() => proxy.close());
  proxy.decide(({ number }) => (number === 1 ? fate : "pass"));
  return { proxy, env: { ...env, TNTC_SERVER: `${proxy.endpoint}/mcp` } };
}

it("asks what it only reads by one request", async () => {
  const { proxy, env } = await behindProxy("pass");
  expect(await tntc(["status"], { env })).toMatchObject({ code: 0, stderr: "" });
  expect(proxy.seen.map(({ body }) => body)).toEqual([expect.stringContaining('"method":"tools/call"')]);
});

it.each<[string, Fate]>([
  ["a connection that is cut", "cut after"],
  ["a server of an older protocol", { status: 400, body: "Bad Request: Unsupported protocol version" }],
  ["an answer that is not MCP", { status: 200, body: "<html>", headers: { "content-type": "text/html" } }],
])("asks again what it only reads after %s", async (_what, fate) => {
  const { proxy, env } = await behindProxy(fate);
  expect(await tntc(["status"], { env })).toMatchObject({ code: 0, stderr: "" });
  expect(proxy.seen.length).toBeGreaterThan(1);
});

describe("an operation whose connection is lost", () => {
  /** The CLI's way to a server, cut once, at the call of `tool`. */
  async function cutOnce(tool: string, fate: "cut before" | "cut after") {
    const env = await serveWith({});
    const proxy = await startHttpProxy(env.TNTC_SERVER ?? "");
    onTestFinished(() => proxy.close());
    let cut = false;
    proxy.decide(({ body }) => {
      if (cut || !body.includes('"tools/call"') || !body.includes(`"name":"${tool}"`)) return "pass";
      cut = true;
      return fate;
    });
    return { direct: env, env: { ...env, TNTC_SERVER: `${proxy.endpoint}/mcp` } };
  }
  async function folder(): Promise<string> {
    const dir = join(await emptyFolder(), "lost");
    expect(await tntc(["init", "lost", "--dir", dir])).toMatchObject({ code: 0 });
    return dir;
  }

  it.each(["cut before", "cut after"] as const)("is a deploy that is done once when %s", async (fate) => {
    const { env } = await cutOnce("deploy", fate);
    const { code, stdout, stderr } = await tntc(["deploy", await folder()], { env });
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain("The connection was lost. Looking how the operation goes on …");
    expect(stdout).toContain("revision 1");
    expect((await tntc(["status", "lost"], { env })).stdout).toContain("revision 1");
  });

  it("is an undeploy that had ended, which is not made again", async () => {
    const { env, direct } = await cutOnce("undeploy", "cut after");
    expect(await tntc(["deploy", await folder()], { env: direct })).toMatchObject({ code: 0 });
    const { code, stdout, stderr } = await tntc(["undeploy", "lost"], { env });
    expect({ code, stdout, stderr }).toMatchObject({ code: 4, stdout: "" });
    expect(stderr).toContain("has ended meanwhile\nhint: See how it ended: tntc history lost.");
  });
});

describe("TLS", () => {
  /** The real server behind a certificate of its own authority. */
  async function behindTls(context: TestContext) {
    const certificate = await createCertificate(await emptyFolder(), "server");
    if (certificate === undefined) return context.skip("there is no openssl to make a certificate with");
    const env = await serveWith({});
    const { pem: cert, keyFile, certFile } = certificate;
    const proxy = await startHttpProxy(env.TNTC_SERVER ?? "", { cert, key: await readFile(keyFile, "utf8") });
    onTestFinished(() => proxy.close());
    const token = { TNTC_TOKEN_FILE: env.TNTC_TOKEN_FILE ?? "" };
    return { url: `${proxy.endpoint}/mcp`, certFile, token };
  }

  it("tells an authority that is not known, and takes it from --ca, TNTC_CA or the environment", async (context) => {
    const { url, certFile, token } = await behindTls(context);
    const { code, stderr } = await tntc(["list", "--server", url], { env: token });
    expect(code).toBe(7);
    expect(stderr).toMatch(/an authority that is not trusted here\nhint: Name its authority: `--ca FILE`/);
    const option = await tntc(["list", "--server", url, "--ca", certFile], { env: token });
    expect(option).toMatchObject({ code: 0 });
    const variable = await tntc(["whoami"], { env: { ...token, TNTC_SERVER: url, TNTC_CA: certFile } });
    expect(variable).toMatchObject({ code: 0 });
    const env = { ...token, XDG_CONFIG_HOME: await emptyFolder() };
    await tntc(["env", "add", "lab", url, "--ca", certFile, "--token-file", token.TNTC_TOKEN_FILE], { env });
    expect(await tntc(["list", "--env", "lab"], { env })).toMatchObject({ code: 0 });
  });

  it("tells a certificate for another name", async (context) => {
    const { url, certFile, token } = await behindTls(context);
    const other = url.replace("127.0.0.1", "localhost");
    const { code, stderr } = await tntc(["list", "--server", other, "--ca", certFile], { env: token });
    expect(code).toBe(7);
    expect(stderr).toContain("its TLS certificate is for another name");
  });

  it("tells a server that speaks none", async () => {
    const url = await answering((_request, response) => response.end());
    const { code, stderr } = await tntc(["list", "--server", url.replace("http:", "https:")]);
    expect(code).toBe(7);
    expect(stderr).toMatch(/it does not speak TLS\nhint: For plain HTTP write http:\/\//);
  });

  it("names a CA file that is none", async () => {
    const { code, stderr } = await tntc([
      "list",
      "--server",
      "https://127.0.0.1:9",
      "--ca",
      await tokenFile(),
    ]);
    expect(code).toBe(2);
    expect(stderr).toContain("cannot be read as PEM");
  });
});

it("tells an HTTP server that is something else", async () => {
  const url = await answering((_request, response) =>
    response.writeHead(200, { "content-type": "text/html" }).end("<html>router</html>"),
  );
  const { code, stderr } = await tntc(["list", "--server", url]);
  expect(code).toBe(4);
  expect(stderr).toContain("is not a Tentacular server");
});

it("names a token file that cannot be read", async () => {
  const { code, stderr } = await tntc(["list", "--server", "http://127.0.0.1:9", "--token-file", "/no/such"]);
  expect(code).toBe(2);
  expect(stderr).toContain("the token file /no/such cannot be read");
});
