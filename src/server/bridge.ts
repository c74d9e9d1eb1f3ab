import type { Client } from "@modelcontextprotocol/client";
import type { CallToolResult } from "@modelcontextprotocol/server";
import { Unavailable } from "../errors.ts";
import type { RemoteHost } from "./host.ts";

/** Calls have no deadline of their own here: the server that does the work sets it. */
const NO_TIMEOUT = 2 ** 31 - 1;

export interface RemoteHostOptions {
  readonly url: string;
  readonly token: string;
  readonly version: string;
}

/**
 * Hands tool calls to a running server over HTTP (`tntc mcp` beside `tntc up`), so that both see one world. Progress
 * and cancellation pass through. A connection a call: a server that dies is then told from one that is slow.
 */
export function createRemoteHost(options: RemoteHostOptions): RemoteHost {
  async function connect() {
    // Loaded here: a server that does the work itself needs no client.
    const [{ Client }, { WatchedTransport }] = await Promise.all([
      import("@modelcontextprotocol/client"),
      import("./watched-transport.ts"),
    ]);
    const client = new Client(
      { name: "tntc-bridge", version: options.version },
      { versionNegotiation: { mode: "auto" } },
    );
    const transport = new WatchedTransport(new URL(options.url), {
      requestInit: { headers: { authorization: `Bearer ${options.token}` } },
    });
    await client.connect(transport);
    return { client, transport };
  }

  return {
    async callTool(name, args, { signal, onprogress, trace }): Promise<CallToolResult> {
      let client: Client | undefined;
      try {
        const connection = await connect();
        client = connection.client;
        return await client.callTool(
          { name, arguments: { ...args }, ...(trace !== undefined && { _meta: { ...trace } }) },
          {
            signal: AbortSignal.any([signal, connection.transport.watchCall()]),
            timeout: NO_TIMEOUT,
            ...(onprogress !== undefined && { onprogress }),
          },
        );
      } catch (error) {
        if (signal.aborted) throw error;
        throw new Unavailable(`the server at ${options.url} does not answer`, {
          reason: "unreachable",
          hint: "Start it again with `tntc up`, then repeat the call: what it had begun is finished or shown by status.",
          cause: error,
        });
      } finally {
        await client?.close();
      }
    },
  };
}
