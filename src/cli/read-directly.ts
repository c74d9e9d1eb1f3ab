import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { packageVersion } from "../version.ts";
import { findServer, type ServerOptions } from "./find-server.ts";
import { toolFailure } from "./tool-failure.ts";

/** The first version of MCP in which a call needs nothing before it. */
const PROTOCOL = "2026-07-28";
const CONNECT_MS = 3_000;
const ANSWER_MS = 15_000;

/** What a tool answered; more than this nobody here asks for. */
interface Result {
  readonly resultType?: unknown;
  readonly isError?: unknown;
  readonly structuredContent?: unknown;
  readonly content?: unknown;
}

/**
 * Calls a tool that only reads, by one request of its own: for a command that asks one thing, the MCP client and `fetch` take
 * longer to start than all else. Undefined when anything is not as expected (another version of the protocol, a redirection,
 * a network that fails): then the MCP client asks again, which knows all of that and says what is wrong.
 */
export async function readDirectly(
  options: ServerOptions,
  tool: string,
  args: Readonly<Record<string, unknown>>,
): Promise<{ readonly structured: unknown } | undefined> {
  const { url, token } = await findServer(options);
  if (options.target.ca !== undefined) await (await import("./trust.ts")).trustAuthority(options.target.ca);
  const result = await ask(url, await token.token(), tool, args, options.signal).catch(() => undefined);
  options.signal.throwIfAborted();
  if (result === undefined) return undefined;
  if (result.isError === true) throw toolFailure(tool, result.structuredContent, blocks(result.content));
  return { structured: result.structuredContent };
}

async function ask(
  url: URL,
  token: string | undefined,
  tool: string,
  args: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Result | undefined> {
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": PROTOCOL,
    "io.modelcontextprotocol/clientInfo": { name: "tntc", version: packageVersion() },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const body = JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name: tool, arguments: args, _meta },
  });
  const headers = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    "mcp-protocol-version": PROTOCOL,
    "mcp-method": "tools/call",
    "mcp-name": tool,
    "content-length": Buffer.byteLength(body),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
  const { status, type, text } = await post(url, headers, body, signal);
  if (status !== 200) return undefined;
  const messages = type.startsWith("text/event-stream") ? eventsOf(text) : [text];
  return messages.map(resultOf).find((result) => result !== undefined);
}

async function post(
  url: URL,
  headers: Readonly<Record<string, string | number>>,
  body: string,
  signal: AbortSignal,
): Promise<{ readonly status: number | undefined; readonly type: string; readonly text: string }> {
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", headers, signal }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => (text += part));
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode, type: response.headers["content-type"] ?? "", text }),
      );
    });
    const within = (ms: number) => setTimeout(() => sent.destroy(new Error(`nothing in ${ms} ms`)), ms);
    let timer = within(CONNECT_MS);
    sent.on("socket", (socket) =>
      socket.once("connect", () => {
        clearTimeout(timer);
        timer = within(ANSWER_MS);
      }),
    );
    sent.on("close", () => clearTimeout(timer));
    sent.on("error", reject);
    sent.end(body);
  });
}

/** The data of each event of a stream that has ended. */
function eventsOf(text: string): readonly string[] {
  return text.split(/\r?\n\r?\n/).map((event) =>
    event
      .split(/\r?\n/)
      .flatMap((line) => (line.startsWith("data:") ? [line.slice("data:".length)] : []))
      .join("\n"),
  );
}

/** The result in a JSON-RPC answer; undefined when it is none. */
function resultOf(message: string): Result | undefined {
  if (message.trim() === "") return undefined;
  const answer: unknown = JSON.parse(message);
  if (!isObject(answer) || answer.id !== 1 || !isObject(answer.result)) return undefined;
  const { result } = answer;
  return result.resultType === undefined || result.resultType === "complete" ? result : undefined;
}

function blocks(content: unknown): readonly { readonly type: string }[] {
  return Array.isArray(content) ? content.filter(isBlock) : [];
}

const isBlock = (value: unknown): value is { readonly type: string } =>
  isObject(value) && typeof value.type === "string";

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;
