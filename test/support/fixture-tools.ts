import { once } from "node:events";
import { appendFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { Conflict, Internal, InvalidInput, NotEnabled, Unavailable } from "../../src/errors.ts";
import type { Operations } from "../../src/pipeline/operations.ts";
import type { ToolHost } from "../../src/server/host.ts";
import { defineTool, type Tool } from "../../src/server/tool.ts";

const annotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
} as const;

/** Text such as a driver's, which no caller may see. */
export const THIRD_PARTY = "driver text: connection to 10.1.2.3 refused";

const failures = {
  invalid_input: () =>
    new InvalidInput("the draft of hello has a mistake", {
      hint: "Correct line 7.",
      path: "contract",
      issues: [
        {
          path: "contract.dependencies.tentacular-postgres.host",
          message: "is filled in by deploying",
          hint: "Remove it.",
          line: 7,
          column: 5,
        },
      ],
    }),
  not_enabled: () =>
    new NotEnabled("exoskeleton: postgres not enabled", { hint: "Ask the operator.", service: "postgres" }),
  unavailable: () =>
    new Unavailable("exoskeleton: postgres unavailable: unreachable", {
      hint: "Start it.",
      reason: "unreachable",
      service: "postgres",
      cause: new Error(THIRD_PARTY),
    }),
  conflict: () => new Conflict("hello is being deployed by somebody else", { hint: "Wait." }),
  internal: () => new Internal("hello could not be deployed", { hint: "Report it." }),
  unforeseen: () => new TypeError(THIRD_PARTY),
} as const;

/** Tools made for tests of the server round them: each does one thing a tool can do. */
export const fixtureTools: readonly Tool[] = [
  defineTool({
    name: "echo",
    title: "Echo",
    description: "Gives back what it gets.",
    input: z.strictObject({
      value: z.unknown().optional().describe("Anything."),
      local_path: z.string().optional().describe("A file of the caller."),
      dry_run: z.boolean().optional().describe("A flag."),
    }),
    localInput: ["local_path"],
    output: z.object({ value: z.unknown().optional() }),
    annotations,
    handle: async ({ value }) => ({ structured: { value }, text: `echo ${JSON.stringify(value)}` }),
  }),
  defineTool({
    name: "fail",
    title: "Fail",
    description: "Fails in the way asked for.",
    input: z.strictObject({
      how: z.enum(["invalid_input", "not_enabled", "unavailable", "conflict", "internal", "unforeseen"]),
    }),
    output: z.object({ never: z.string() }),
    annotations,
    handle: ({ how }) => Promise.reject(failures[how]()),
  }),
  defineTool({
    name: "leak",
    title: "Leak",
    description: "Shows a secret in every way a tool can.",
    input: z.strictObject({
      secret: z.string(),
      where: z.enum(["result", "error", "progress"]),
    }),
    secretInput: ["secret"],
    output: z.object({ shown: z.record(z.string(), z.string()) }),
    annotations,
    handle: async ({ secret, where }, { progress }) => {
      const base64 = Buffer.from(`user:${secret}`).toString("base64");
      const text = `plain ${secret} url ${encodeURIComponent(secret)} base64 ${base64}`;
      if (where === "error") throw new Conflict(text, { hint: text, cause: new Error(text) });
      if (where === "progress") progress?.({ step: "leak", index: 0, total: 1, message: text });
      return { structured: { shown: { [secret]: text } }, text };
    },
  }),
  defineTool({
    name: "steps",
    title: "Steps",
    description: "Reports three steps.",
    input: z.strictObject({}),
    output: z.object({ steps: z.number() }),
    annotations,
    handle: async (_input, { progress }) => {
      for (const [index, step] of ["validate", "register", "apply"].entries()) {
        progress?.({ step, index, total: 3 });
        progress?.({ step, index, total: 3, message: "half way" });
      }
      return { structured: { steps: 3 }, text: "three steps" };
    },
  }),
  defineTool({
    name: "pause",
    title: "Pause",
    description: "Takes its time.",
    input: z.strictObject({ ms: z.number() }),
    output: z.object({}),
    annotations,
    handle: async ({ ms }, { signal }) => {
      await sleep(ms, undefined, { signal });
      return { structured: {}, text: "paused" };
    },
  }),
  defineTool({
    name: "wait",
    title: "Wait",
    description: "Works until it is cancelled, then writes so to a file.",
    input: z.strictObject({ file: z.string() }),
    output: z.object({ never: z.string() }),
    annotations,
    handle: async ({ file }, { signal, progress }) => {
      await appendFile(file, "began\n");
      progress?.({ step: "wait", index: 0, total: 1 });
      if (!signal.aborted) await once(signal, "abort");
      await appendFile(file, "undone\n");
      signal.throwIfAborted();
      return { structured: { never: "" }, text: "" };
    },
  }),
  defineTool({
    name: "noise",
    title: "Noise",
    description: "Prints to stdout in every way there is.",
    input: z.strictObject({}),
    output: z.object({ done: z.boolean() }),
    annotations,
    handle: async () => {
      console.log("noise by console.log");
      console.table([{ noise: "by console.table" }]);
      process.stdout.write("noise by process.stdout\n");
      process.stdout.write(Buffer.from("noise by buffer\n"));
      process.emitWarning("noise by warning");
      await import("./noisy-module.ts");
      return { structured: { done: true }, text: "done" };
    },
  }),
  defineTool({
    name: "crash",
    title: "Crash",
    description: "Ends the process by an error that nothing catches.",
    input: z.strictObject({}),
    output: z.object({ never: z.string() }),
    annotations,
    handle: () => {
      setImmediate(() => {
        throw new Error("crash by uncaught error");
      });
      return new Promise<never>(() => undefined);
    },
  }),
  defineTool({
    name: "wrong_output",
    title: "Wrong output",
    description: "Gives something other than its schema says.",
    input: z.strictObject({}),
    output: z.object({ count: z.number().max(1) }),
    annotations,
    handle: async () => ({ structured: { count: 2 }, text: "two" }),
  }),
];

/** Operations where there is nothing to operate on. */
export const noOperations: Operations = {
  enclaveInfo: refuse,
  deploy: refuse,
  rotate: refuse,
  repair: refuse,
  undeploy: refuse,
  status: refuse,
  orphans: refuse,
  list: refuse,
  run: refuse,
  logs: refuse,
  secrets: refuse,
  provisionEnclave: refuse,
  deprovisionEnclave: refuse,
};

function refuse(): Promise<never> {
  return Promise.reject(new Unavailable("no cluster here", { reason: "failed", hint: "None." }));
}

/** A host for the fixture tools. */
export const fixtureHost = (): Promise<ToolHost> => Promise.resolve({ operations: noOperations });
