import type { Readable, Writable } from "node:stream";
import { StdioServerTransport, serveStdio as serve } from "@modelcontextprotocol/server/stdio";
import type { Logger } from "../log.ts";
import { within } from "../within.ts";
import type { McpService } from "./mcp-server.ts";

/** A deploy carries its node files in one message. */
const MAX_MESSAGE = 4 * 1024 * 1024;

export interface ServeStdioOptions {
  readonly service: McpService;
  /** From `takeStdout()`. */
  readonly stdout: Writable;
  readonly stdin?: Readable;
  readonly log?: Logger;
  /** How long running calls may take to come to their end once the client has gone; default 125 s, as a deploy may take 120. */
  readonly graceMs?: number;
}

/**
 * Serves one client over stdio, of either protocol era. Resolves when the client has closed stdin, or SIGTERM or SIGINT
 * has come, and the calls that were running have ended: then the process may close what it holds and exit.
 */
export async function serveStdio(options: ServeStdioOptions): Promise<void> {
  const { service, stdout, stdin = process.stdin, log, graceMs = 125_000 } = options;
  const transport = new StdioServerTransport(stdin, stdout, { maxBufferSize: MAX_MESSAGE });
  const handle = serve(service.create, {
    transport,
    onerror: (error) => log?.warn({ error: error.message }, "stdio"),
  });
  await new Promise<void>((resolve) => {
    const { onclose } = transport;
    transport.onclose = () => {
      onclose?.();
      resolve();
    };
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void handle.close());
  });
  await within(graceMs, service.idle());
}
