import type { CallToolResult } from "@modelcontextprotocol/server";
import type { Installation } from "../callers/authorise.ts";
import type { Operations, TraceContext } from "../pipeline/operations.ts";
import type { TentacleFolder } from "./tool.ts";

/** What the tools work on when the operations run in this process. */
export interface ToolHost {
  readonly operations: Operations;
  /** Where callers have rights of their own: without it, such a caller is served nothing. */
  readonly installation?: Installation;
  /** Only where server and caller share a file system. */
  readonly readDirectory?: (path: string) => Promise<TentacleFolder>;
}

/** What the tools work on when another server does the work. */
export interface RemoteHost {
  callTool(name: string, args: Arguments, call: RemoteCall): Promise<CallToolResult>;
}

/** Arguments of a call as they came over the wire. */
export type Arguments = Readonly<Record<string, unknown>>;

export interface RemoteCall {
  readonly signal: AbortSignal;
  readonly onprogress?: (progress: Progress) => void;
  readonly trace?: TraceContext;
}

/** One progress notification of MCP. */
export interface Progress {
  readonly progress: number;
  readonly total?: number;
  readonly message?: string;
}

/**
 * Gives the host, made on the first call that needs one: so `initialize` and `tools/list` answer before anything heavy
 * is loaded, and a start that fails is an error of that call, tried again by the next.
 */
export type HostSource = () => Promise<ToolHost | RemoteHost>;
