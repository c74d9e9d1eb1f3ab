import { inspect } from "node:util";
import {
  type CallToolResult,
  type InputRequiredResult,
  isInputRequiredResult,
} from "@modelcontextprotocol/server";
import { authoriseOperations, scopeMissing } from "../callers/authorise.ts";
import type { Caller } from "../callers/caller.ts";
import { Internal, NotEnabled, TentacularError, toTentacularError, Unavailable } from "../errors.ts";
import type { Logger } from "../log.ts";
import { CallerGone, type Operations, type TraceContext } from "../pipeline/operations.ts";
import type { Redactor } from "../redact.ts";
import { parseArguments } from "./arguments.ts";
import { confirmed, type PersonAnswers } from "./confirm.ts";
import { boundedReport, errorText } from "./error-text.ts";
import type { Arguments, HostSource, Progress, RemoteHost, ToolHost } from "./host.ts";
import type { Refused } from "./listed-tool.ts";
import { stepProgress } from "./progress.ts";
import { cut } from "./text.ts";
import { checkedInput } from "./tool-schema.ts";
import type { Tool, ToolContext } from "./tool.ts";

/** Nothing an agent gets is longer, whatever a renderer did; renderers stay far below. */
const MAX_TEXT = 40_000;

/** What accompanies one call, from the protocol's side. */
export interface CallContext {
  readonly id: string | number;
  readonly signal: AbortSignal;
  /** Who calls, where callers have rights of their own; else it is the user of this machine, who may do everything. */
  readonly caller?: Caller;
  /** The tool is not offered to this caller, and why. */
  readonly refused?: Refused | undefined;
  /** The trace that the call belongs to, where its caller has one. */
  readonly trace?: TraceContext;
  /** Only when the caller asked for progress. */
  readonly notify?: (progress: Progress) => void;
  /** Only where the client can ask its person. */
  readonly answers?: PersonAnswers;
}

/** What a call gives: its result, or a question to the person that the client answers by calling again. */
export type CallOutcome = CallToolResult | InputRequiredResult;

export interface ToolCallerOptions {
  readonly tools: readonly Tool[];
  /** Caller and server see the same files. */
  readonly sharesFiles: boolean;
  readonly host: HostSource;
  readonly log: Logger;
  /** Knows the secrets of the installation; those of a call are added for that call alone. */
  readonly redactor: Redactor;
}

export interface ToolCaller {
  /** Never throws: an error is a result too. */
  call(name: string, args: Arguments, context: CallContext): Promise<CallOutcome>;
  /** Has a call made what the tools work on, and is it still there? */
  hasHost(): boolean;
  /** Resolves when no call is running. */
  idle(): Promise<void>;
  /** Resolves when the calls that are running now have ended. */
  settled(): Promise<void>;
  /** Answers those that are still running: that the server ends, and what to do then. */
  cutOff(): void;
}

/**
 * What stands round every tool, once: arguments checked, errors turned into texts, secrets taken out, progress,
 * cancellation, one log line.
 */
export function createToolCaller(options: ToolCallerOptions): ToolCaller {
  const { log } = options;
  const tools = new Map(
    options.tools.map((tool) => [tool.name, { tool, input: checkedInput(tool, options) }]),
  );
  const running = new Set<Promise<CallOutcome>>();
  const cuts = new Set<() => void>();
  let host: Promise<ToolHost | RemoteHost> | undefined;

  /** Made once; made again after it could not be, or after a remote one could not be reached. */
  async function getHost(): Promise<ToolHost | RemoteHost> {
    host ??= options.host();
    try {
      return await host;
    } catch (error) {
      host = undefined;
      throw error;
    }
  }

  async function work(
    name: string,
    args: Arguments,
    context: CallContext,
    redactor: Redactor,
  ): Promise<CallOutcome> {
    const known = tools.get(name);
    if (known === undefined) throw new RangeError(`no tool is named ${name}`);
    if (context.refused !== undefined) throw notOffered(name, context.refused, context.caller);
    const { tool } = known;
    const input = parseArguments(name, known.input, args);
    const confirmation = tool.confirm?.(input);
    const question = confirmation && confirmed(name, confirmation, context.answers);
    if (question !== undefined) return question;
    for (const field of tool.secretInput ?? []) redactor.add(args[field]);
    const found = await getHost();
    if ("callTool" in found && context.caller?.unrestricted === false)
      throw new Error("the rights of a caller are not known to another server");
    if ("callTool" in found) return await handOn(found, name, args, context);
    const noted = (error: TentacularError): void => {
      const fields = { tool: tool.name, request: context.id, outcome: error.code };
      log.info({ ...fields, ...errorFields(error, redactor) }, "part of a tool call failed");
    };
    const answer = await tool.handle(input, toolContext(tool.name, found, context, redactor, noted));
    return {
      content: [{ type: "text", text: cut(redactor.text(answer.text), MAX_TEXT) }],
      structuredContent: redactor.json(tool.output.parse(answer.structured)),
    };
  }

  /** A remote host that cannot be reached may have moved: the next call looks for it anew. */
  async function handOn(
    remote: RemoteHost,
    tool: string,
    args: Arguments,
    context: CallContext,
  ): Promise<CallToolResult> {
    try {
      return await remote.callTool(tool, args, {
        signal: context.signal,
        onprogress: context.notify,
        trace: context.trace,
      });
    } catch (error) {
      if (!context.signal.aborted) host = undefined;
      throw error;
    }
  }

  async function run(name: string, args: Arguments, context: CallContext): Promise<CallOutcome> {
    const redactor = options.redactor.extend();
    const started = performance.now();
    const line = (outcome: string): object => ({
      tool: name,
      request: context.id,
      ...(context.caller !== undefined && { caller: context.caller.name }),
      outcome,
      ms: Math.round(performance.now() - started),
    });
    const cut = Promise.withResolvers<never>();
    const end = (): void => cut.reject(stopped(name));
    cuts.add(end);
    try {
      const result = await Promise.race([work(name, args, context, redactor), cut.promise]);
      const outcome = isInputRequiredResult(result) ? "asked" : result.isError === true ? "error" : "ok";
      log.info(line(outcome), "tool call");
      return result;
    } catch (thrown) {
      // An operation that went on without its caller has an end of its own.
      const hasOwnEnd = context.signal.reason instanceof CallerGone && thrown instanceof TentacularError;
      const gone = context.signal.aborted && !hasOwnEnd;
      const error = gone ? cancelled(name) : toTentacularError(thrown, name);
      const fields = { ...line(gone ? "cancelled" : error.code), ...errorFields(error, redactor) };
      if (error.code === "internal" && !gone) log.error(fields, "tool call");
      else log.info(fields, "tool call");
      const report = redactor.json(error.report());
      return {
        content: [{ type: "text", text: errorText(name, report) }],
        structuredContent: { ...boundedReport(report) },
        isError: true,
      };
    } finally {
      cuts.delete(end);
    }
  }

  return {
    async call(name, args, context) {
      const call = run(name, args, context);
      running.add(call);
      try {
        return await call;
      } finally {
        running.delete(call);
      }
    },
    hasHost: () => host !== undefined,
    async idle() {
      while (running.size > 0) await Promise.all(running);
    },
    async settled() {
      await Promise.all(running);
    },
    cutOff: () => cuts.forEach((end) => end()),
  };
}

function stopped(tool: string): TentacularError {
  return new Unavailable(`${tool} had not ended when the server did`, {
    reason: "timeout",
    hint: "Call it again, now or when the server is back. What it had begun is in the tentacle's journal, and the same call goes on from there; while status says that it is running, wait.",
  });
}

function notOffered(tool: string, refused: Refused, caller: Caller | undefined): TentacularError {
  if (refused !== "read-only" && caller !== undefined) return scopeMissing(tool, refused, caller);
  return new NotEnabled(`${tool} changes something, and this server is read-only`, {
    hint: "Nothing was done. Tell the person what should be changed; it is done through another server, or after the operator unset TENTACULAR_HTTP_READ_ONLY.",
  });
}

function cancelled(tool: string): TentacularError {
  return new Internal(`${tool} was cancelled by its caller`, {
    hint: "What it had begun was undone, or status shows it; calling it again finishes or repeats it.",
  });
}

/** Callers get no cause; the operator does. */
function errorFields(error: TentacularError, redactor: Redactor): object {
  return {
    error: redactor.text(error.message),
    ...(error.cause !== undefined && {
      cause: redactor.text(cut(inspect(error.cause, { depth: 4 }), 8_000)),
    }),
  };
}

function toolContext(
  tool: string,
  host: ToolHost,
  context: CallContext,
  redactor: Redactor,
  noted: ToolContext["noted"],
): ToolContext {
  const { readDirectory } = host;
  const { caller } = context;
  const step = context.notify === undefined ? undefined : stepProgress(context.notify);
  return {
    signal: context.signal,
    tool,
    operations: redacted(permitted(host, caller), redactor),
    noted,
    ...(caller !== undefined && { caller: caller.name }),
    ...(context.trace !== undefined && { trace: context.trace }),
    ...(step !== undefined && {
      progress: (event) =>
        step({ ...event, ...(event.message !== undefined && { message: redactor.text(event.message) }) }),
    }),
    ...(readDirectory !== undefined && {
      readDirectory: async (path) => {
        const folder = await readDirectory(path);
        redactor.add(folder.secrets);
        return folder;
      },
    }),
  };
}

/** The one place where a caller's rights are checked, whatever tool, resource, prompt or completion asks. */
function permitted({ operations, installation }: ToolHost, caller: Caller | undefined): Operations {
  if (caller === undefined || caller.unrestricted) return operations;
  if (installation === undefined) throw new Error("the rights of a caller cannot be checked here");
  return authoriseOperations(operations, caller, installation);
}

/** Redacts before a tool cuts anything to length: half a secret would no longer be recognised. */
function redacted(operations: Operations, redactor: Redactor): Operations {
  return {
    enclaveInfo: async (request, call) => redactor.json(await operations.enclaveInfo(request, call)),
    deploy: async (request, call) => redactor.json(await operations.deploy(request, call)),
    rotate: async (request, call) => redactor.json(await operations.rotate(request, call)),
    repair: async (request, call) => redactor.json(await operations.repair(request, call)),
    undeploy: async (request, call) => redactor.json(await operations.undeploy(request, call)),
    status: async (request, call) => redactor.json(await operations.status(request, call)),
    orphans: async (request, call) => redactor.json(await operations.orphans(request, call)),
    list: async (request, call) => redactor.json(await operations.list(request, call)),
    run: async (request, call) => redactor.json(await operations.run(request, call)),
    logs: async (request, call) => redactor.json(await operations.logs(request, call)),
    secrets: async (request, call) => redactor.json(await operations.secrets(request, call)),
    provisionEnclave: async (request, call) =>
      redactor.json(await operations.provisionEnclave(request, call)),
    deprovisionEnclave: async (request, call) =>
      redactor.json(await operations.deprovisionEnclave(request, call)),
  };
}
