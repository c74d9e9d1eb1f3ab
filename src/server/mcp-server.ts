import {
  CLIENT_CAPABILITIES_META_KEY,
  McpServer,
  type McpServerFactory,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import { type Logger, silentLogger } from "../log.ts";
import type { TraceContext } from "../pipeline/operations.ts";
import { createRedactor, type Redactor } from "../redact.ts";
import { type CallContext, createToolCaller, type ToolCaller } from "./call-tool.ts";
import { callerIn } from "./caller-info.ts";
import { callerSignal } from "./caller-signal.ts";
import type { HostSource } from "./host.ts";
import { instructionsFor } from "./instructions.ts";
import { createCompletions, createLook } from "./look.ts";
import { registerPrompts } from "./prompts.ts";
import { registerResources } from "./resources.ts";
import { offerTools, toolsFor } from "./tool-schema.ts";
import type { Tool } from "./tool.ts";

export interface McpServiceOptions {
  /** From package.json. */
  readonly version: string;
  readonly tools: readonly Tool[];
  /** Called when the first tool call needs it. */
  readonly host: HostSource;
  /** Caller and server see the same files: `deploy` then also takes a folder. */
  readonly sharesFiles: boolean;
  /** The host takes long to make: only tool calls, resources and prompts that are asked for make it, no list. */
  readonly lazyHost?: boolean;
  readonly log?: Logger;
  readonly redactor?: Redactor;
}

/** The server behind every transport. It holds no session: any instance answers any request. */
export interface McpService {
  /** Makes one protocol server: one a connection on stdio, one a request over HTTP. */
  readonly create: McpServerFactory;
  /** Resolves when no tool call is running. */
  idle(): Promise<void>;
  /** Resolves when the tool calls that are running now have ended. */
  settled(): Promise<void>;
}

/** Makes the factory that stdio and HTTP serve, for both protocol eras. */
export function createMcpServerFactory(options: McpServiceOptions): McpService {
  const all = offerTools(options.tools, options);
  const calls = createToolCaller({
    host: options.host,
    log: options.log ?? silentLogger,
    redactor: options.redactor ?? createRedactor(),
  });

  return {
    idle: () => calls.idle(),
    settled: () => calls.settled(),
    create: ({ authInfo }) => {
      const who = authInfo === undefined ? undefined : callerIn(authInfo);
      const offered = who === undefined ? all : toolsFor(who, all);
      // Whatever asks, by a tool or by a look, asks as this caller.
      const caller: ToolCaller = {
        ...calls,
        call: (one, args, context) => calls.call(one, args, { ...context, caller: who }),
      };
      const look = createLook(caller, offered, { lazyHost: options.lazyHost === true });
      const completions = createCompletions(look);
      const server = new McpServer(
        { name: "tentacular", title: "Tentacular", version: options.version },
        {
          capabilities: {
            tools: { listChanged: false },
            resources: { listChanged: false },
            prompts: { listChanged: false },
          },
          instructions: instructionsFor((name) => look.has(name)),
        },
      );
      const toCall = (context: ServerContext): CallContext => toCallContext(context, server);
      for (const one of offered) {
        const { name, title, description, annotations } = one.tool;
        server.registerTool(
          name,
          {
            title,
            description,
            annotations,
            inputSchema: one.advertised.input,
            outputSchema: one.advertised.output,
          },
          (args, context) => caller.call(one, args, toCall(context)),
        );
      }
      registerResources(server, look, completions, toCall);
      registerPrompts(server, look, completions, toCall);
      return server;
    },
  };
}

function toCallContext({ mcpReq, http }: ServerContext, server: McpServer): CallContext {
  const progressToken = mcpReq._meta?.progressToken;
  const trace = traceOf(mcpReq._meta) ?? traceOf(Object.fromEntries(http?.req?.headers ?? []));
  return {
    id: mcpReq.id,
    signal: callerSignal(mcpReq.signal, http !== undefined),
    ...(trace !== undefined && { trace }),
    ...(canAsk(mcpReq.envelope, server) && { answers: mcpReq.inputResponses ?? {} }),
    ...(progressToken !== undefined && {
      // A caller that has gone needs no progress; its call ends by the signal.
      notify: (progress) =>
        void mcpReq
          .notify({ method: "notifications/progress", params: { progressToken, ...progress } })
          .catch(() => undefined),
    }),
  };
}

const traced = z.object({ traceparent: z.string(), tracestate: z.string().optional() });

/** The caller's trace: from the message, or else from the headers that a proxy may have set. */
function traceOf(from: unknown): TraceContext | undefined {
  return traced.safeParse(from).data;
}

const asking = z.object({
  elicitation: z.object({ form: z.unknown().optional(), url: z.unknown().optional() }).optional(),
});

/** Can the client ask its person? The present protocol says it with each request, that of 2025 once a connection. */
function canAsk(envelope: object | undefined, { server }: McpServer): boolean {
  const told = new Map<string, unknown>(Object.entries(envelope ?? {})).get(CLIENT_CAPABILITIES_META_KEY);
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- a connection of 2025 has no other place
  const connection = server.getClientCapabilities();
  const elicitation = asking.safeParse(told ?? connection).data?.elicitation;
  // An empty capability means forms, as it did before there was another kind.
  return elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined);
}
