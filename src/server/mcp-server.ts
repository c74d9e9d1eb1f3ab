import {
  CLIENT_CAPABILITIES_META_KEY,
  McpServer,
  type McpServerFactory,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import type { Logger } from "../log.ts";
import type { TraceContext } from "../pipeline/operations.ts";
import type { Redactor } from "../redact.ts";
import type { CallContext, ToolCaller } from "./call-tool.ts";
import { callerIn } from "./caller-info.ts";
import { callerSignal } from "./caller-signal.ts";
import type { HostSource } from "./host.ts";
import { instructionsFor } from "./instructions.ts";
import { offerTools, shown, toolsFor, type ToolSet } from "./listed-tool.ts";
import { createCompletions, createLook } from "./look.ts";
import { registerPrompts } from "./prompts.ts";
import { registerResources } from "./resources.ts";
import { explainUnknownTools } from "./unknown-tool.ts";

export interface McpServiceOptions {
  /** From package.json. */
  readonly version: string;
  readonly tools: ToolSet;
  /** Called when the first tool call needs it. */
  readonly host: HostSource;
  /** Caller and server see the same files: `deploy` then also takes a folder. */
  readonly sharesFiles: boolean;
  /** Nothing that changes anything is offered, to nobody. */
  readonly readOnly?: boolean;
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
  /** Answers the tool calls that are still running: that the server ends, and what to do then. */
  cutOff(): Promise<void>;
}

/** Makes the factory that stdio and HTTP serve, for both protocol eras. */
export function createMcpServerFactory(options: McpServiceOptions): McpService {
  const all = offerTools(options.tools.listed, options);
  const calls = whenCalled(async () => {
    const [{ createToolCaller }, tools, { silentLogger }, { createRedactor }] = await Promise.all([
      import("./call-tool.ts"),
      options.tools.load(),
      import("../log.ts"),
      import("../redact.ts"),
    ]);
    return createToolCaller({
      tools,
      sharesFiles: options.sharesFiles,
      host: options.host,
      log: options.log ?? silentLogger,
      redactor: options.redactor ?? createRedactor(),
    });
  });

  return {
    idle: () => calls.idle(),
    settled: () => calls.settled(),
    cutOff: async () => calls.cutOff(),
    create: ({ authInfo }) => {
      const who = authInfo === undefined ? undefined : callerIn(authInfo);
      const known = who === undefined ? all : toolsFor(who, all);
      const offered = known.filter(({ refused }) => refused === undefined);
      // Whatever asks, by a tool or by a look, asks as this caller.
      const caller: ToolCaller = {
        ...calls,
        call: (name, args, context) => calls.call(name, args, { ...context, caller: who }),
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
      for (const { name, title, description, annotations, advertised, refused } of known)
        server.registerTool(
          name,
          { title, description, annotations, inputSchema: advertised.input, outputSchema: advertised.output },
          (args, context) => caller.call(name, args, { ...toCall(context), refused }),
        );
      // The library would list all that it can answer. A tool that is refused is answered, with the reason, and in no list.
      if (offered.length < known.length)
        server.server.setRequestHandler("tools/list", () => ({ tools: offered.map(shown) }));
      registerResources(server, look, completions, toCall);
      registerPrompts(server, look, completions, toCall);
      return explainUnknownTools(
        server,
        offered.map(({ name }) => name),
      );
    },
  };
}

/** What a client asks at its start, the lists, needs nothing of what a call does: that is loaded by the first call. */
function whenCalled(load: () => Promise<ToolCaller>): ToolCaller {
  let loading: Promise<ToolCaller> | undefined;
  let loaded: ToolCaller | undefined;
  return {
    async call(name, args, context) {
      loaded = await (loading ??= load());
      return loaded.call(name, args, context);
    },
    hasHost: () => loaded?.hasHost() ?? false,
    idle: async () => (await loading)?.idle(),
    settled: async () => (await loading)?.settled(),
    cutOff: () => loaded?.cutOff(),
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
