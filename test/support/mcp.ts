import { Client, InMemoryTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as OldStdioTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as OldHttpTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import {
  createMcpServerFactory,
  type McpService,
  type McpServiceOptions,
} from "../../src/server/mcp-server.ts";
import { toolSet } from "../../src/server/tool-schema.ts";
import type { Tool } from "../../src/server/tool.ts";
import { tools as ownTools } from "../../tools/index.ts";

/** Of a service under test; its tools as they are defined. */
export type TestServiceOptions = Omit<McpServiceOptions, "tools"> & { readonly tools: readonly Tool[] };

/** Which clients a test runs with: the present protocol, and the independent library of the 2025 one. */
export const eras = ["2026", "2025"] as const;
export type Era = (typeof eras)[number];

/** A client as the tests use it, whatever library is behind it. */
export interface TestClient {
  /** With `list`, as real clients do: they then check structured content against the listed schemas. */
  listTools(): Promise<unknown[]>;
  call(name: string, args?: Record<string, unknown>, options?: CallOptions): Promise<TestResult>;
  instructions(): string | undefined;
  server(): { name: string; version: string } | undefined;
  close(): Promise<void>;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** In milliseconds; default a minute. */
  readonly timeout?: number;
  readonly onprogress?: (progress: { progress: number; total?: number; message?: string }) => void;
}

export interface TestResult {
  readonly isError: boolean;
  readonly text: string;
  readonly structured: unknown;
}

/** Where a client connects to. */
export type Target =
  | { readonly kind: "memory"; readonly service: McpService }
  | { readonly kind: "stdio"; readonly args: readonly string[]; readonly onstderr?: (text: string) => void }
  | { readonly kind: "http"; readonly url: string; readonly token: string };

/** A service whose only purpose is the test at hand. */
export function testService({ tools = ownTools, ...options }: Partial<TestServiceOptions>): McpService {
  return createMcpServerFactory({
    version: "0.0.0-test",
    tools: toolSet(tools),
    sharesFiles: true,
    host: () => Promise.reject(new Error("this test needs no operations")),
    ...options,
  });
}

/** Connects a real client of the given era and lists the tools, as clients do first. */
export async function connect(target: Target, era: Era = "2026"): Promise<TestClient> {
  const client = era === "2026" ? await connectNew(target) : await connectOld(target);
  await client.listTools();
  return client;
}

/** The tool list as a client gets it. */
export async function listTools(options: Partial<TestServiceOptions> = {}): Promise<unknown[]> {
  const client = await connect({ kind: "memory", service: testService(options) });
  const listed = await client.listTools();
  await client.close();
  return listed;
}

async function connectNew(target: Target): Promise<TestClient> {
  const client = new Client(
    { name: "test-2026", version: "1" },
    // Pinned: a fall-back to the older protocol would hide that this one is not served.
    { versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  await client.connect(newTransport(target));
  return {
    listTools: async () => (await client.listTools()).tools,
    call: async (name, args = {}, options = {}) =>
      toResult(await client.callTool({ name, arguments: args }, { timeout: 60_000, ...options })),
    instructions: () => client.getInstructions(),
    server: () => client.getServerVersion(),
    close: () => client.close(),
  };
}

/** To a client of the present protocol. */
export function newTransport(
  target: Target,
): InMemoryTransport | StdioClientTransport | StreamableHTTPClientTransport {
  if (target.kind === "memory") return inMemory(target.service);
  if (target.kind === "http")
    return new StreamableHTTPClientTransport(new URL(target.url), {
      requestInit: { headers: { authorization: `Bearer ${target.token}` } },
    });
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [...target.args],
    stderr: "pipe",
  });
  transport.stderr?.on("data", (chunk) => target.onstderr?.(String(chunk)));
  return transport;
}

async function connectOld(target: Target): Promise<TestClient> {
  const client = new OldClient({ name: "test-2025", version: "1" });
  await client.connect(oldTransport(target));
  return {
    listTools: async () => (await client.listTools()).tools,
    call: async (name, args = {}, options = {}) =>
      toResult(await client.callTool({ name, arguments: args }, undefined, { timeout: 60_000, ...options })),
    instructions: () => client.getInstructions(),
    server: () => client.getServerVersion(),
    close: () => client.close(),
  };
}

/** To a client of the library of 2025. */
export function oldTransport(target: Target): InMemoryTransport | OldStdioTransport | OldHttpTransport {
  if (target.kind === "memory") return inMemory(target.service);
  if (target.kind === "http")
    return new OldHttpTransport(new URL(target.url), {
      requestInit: { headers: { authorization: `Bearer ${target.token}` } },
    });
  const transport = new OldStdioTransport({
    command: process.execPath,
    args: [...target.args],
    stderr: "pipe",
  });
  transport.stderr?.on("data", (chunk) => target.onstderr?.(String(chunk)));
  return transport;
}

/** The stdio entry over an in-memory pair: the same era negotiation as in a process of its own. */
export function inMemory(service: McpService): InMemoryTransport {
  const [client, server] = InMemoryTransport.createLinkedPair();
  serveStdio(service.create, { transport: server });
  return client;
}

function toResult(result: Record<string, unknown>): TestResult {
  const content: unknown[] = Array.isArray(result.content) ? result.content : [];
  const text = content
    .map((block) =>
      typeof block === "object" && block !== null && "text" in block ? String(block.text) : "",
    )
    .join("\n");
  return { isError: result.isError === true, text, structured: result.structuredContent };
}
