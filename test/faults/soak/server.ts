/** A server of its own process that does one task after another, and ends itself in one where it is told to. */
import { z } from "zod";
import { type TentacularError, toTentacularError, Unavailable } from "../../../src/errors.ts";
import type { Drift } from "../../../src/exoskeleton/registrar.ts";
import { repairAll } from "../../../src/pipeline/repair-all.ts";
import { createPlatform } from "../../../src/platform.ts";
import { createRedactor } from "../../../src/redact.ts";
import { watchWire } from "../wire-points.ts";
import { type Task, taskSchema, type Told } from "./messages.ts";

const tell = (told: Told): void => {
  process.send?.(told);
};

const [stateDir] = process.argv.slice(2);
let dieAt: string | undefined;
let changes = { before: 0, after: 0 };

function at(point: string): void {
  if (point === dieAt) process.kill(process.pid, "SIGKILL");
}

watchWire((edge) => {
  changes[edge]++;
  at(`${edge} change ${changes[edge]}`);
});
const redactor = createRedactor();
const platform = await createPlatform({
  ...(stateDir !== undefined && { stateDir }),
  redactor: {
    ...redactor,
    add(value) {
      if (typeof value === "string") tell({ secret: value });
      redactor.add(value);
    },
    learn(value) {
      if (typeof value === "string") tell({ secret: value });
      redactor.learn(value);
    },
  },
  observer: (edge, name) => at(`${edge} ${name}`),
});

const { operations } = platform;

process.on("message", (message) => {
  if (z.literal("end").safeParse(message).success) void platform.close().then(() => process.disconnect());
  else void work(taskSchema.parse(message));
});

async function work(task: Task): Promise<void> {
  changes = { before: 0, after: 0 };
  dieAt = task.dieAt;
  tell({ begun: true });
  try {
    await carryOut(task);
    tell({ done: true });
  } catch (error) {
    const { code, message, cause } = toTentacularError(error, task.what);
    tell({ refused: code === "internal" ? `${message}: ${String(cause)}` : message, code });
  } finally {
    dieAt = undefined;
  }
}

async function carryOut({ what, enclave, name, workflow, source }: Task): Promise<void> {
  const call = { signal: new AbortController().signal };
  switch (what) {
    case "deploy":
      await operations.deploy({ enclave, workflow, files: { "nodes/one.ts": source } }, call);
      return;
    case "rotate":
      await operations.rotate({ enclave, name }, call);
      return;
    case "undeploy":
    case "force":
      requireWhole(await operations.undeploy({ enclave, name, force: what === "force" }, call));
      return;
    case "repair":
      requireWhole(await operations.repair({ enclave, name }, call));
      return;
    case "repair all": {
      const unforeseen: TentacularError[] = [];
      await repairAll(operations, { enclave }, call, (error) => {
        if (error.code === "internal") unforeseen.push(error);
      });
      for (const error of unforeseen) throw error;
      return;
    }
    case "gc": {
      const { orphans } = await operations.orphans({ enclave }, call);
      for (const orphan of new Set(orphans.map((one) => one.name)))
        requireWhole(await operations.undeploy({ enclave, name: orphan, force: true, orphan: true }, call));
    }
  }
}

/** What says that a part of it failed counts as refused: whoever comes next finishes it. */
function requireWhole({ failed: [first] }: { readonly failed: readonly Drift[] }): void {
  if (first !== undefined)
    throw new Unavailable(`left ${first.item}: ${first.problem}`, { reason: "failed", hint: "" });
}
