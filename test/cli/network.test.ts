import { writeFile } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { emptyFolder, tntc } from "./tntc.ts";

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  return `http://127.0.0.1:${addressOf(server).port}`;
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no TCP address");
  return address;
}

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
  expect(code).toBe(4);
  expect(stderr).toContain(
    `error: the server at ${url} cannot be reached: nothing listens there\nhint: Check that`,
  );
});

it("tells a name that nobody knows", async () => {
  const { code, stderr } = await tntc(["list", "--server", "http://tentacular.invalid/mcp"]);
  expect(code).toBe(4);
  expect(stderr).toContain("cannot be reached: its name is not known");
});

it("tells a connection that is cut", async () => {
  const url = await listening(createTcpServer((socket) => socket.destroy()));
  const { code, stderr } = await tntc(["list", "--server", url]);
  expect(code).toBe(4);
  expect(stderr).toContain("cannot be reached: it closed the connection");
});

it.each([
  [401, /does not accept the token[^]*--token-file/],
  [403, /denies access/],
  [502, /failed \(HTTP 502\)[^]*its operator/i],
])("tells HTTP %i", async (status, text) => {
  const url = await answering((_request, response) => response.writeHead(status).end("no"));
  const { code, stdout, stderr } = await tntc(["list", "--server", url, "--token-file", await tokenFile()]);
  expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
  expect(stderr).toMatch(text);
  expect(stderr).not.toContain("not-the-token");
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
