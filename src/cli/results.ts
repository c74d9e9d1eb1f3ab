import { z } from "zod";
import { Internal } from "../errors.ts";

/*
 * What the tools answer, checked at the door: the server may be of another version. Only what this program prints is asked
 * for, and words that a later version may add are plain strings; `-o json` prints the answer as it came. Each schema is made when it
 * is needed: making all of them would take longer than most commands have to.
 */

type View<T extends () => z.ZodType> = z.infer<ReturnType<T>>;

const list = <T extends z.ZodType>(item: T) => z.array(item).readonly();
const map = <T extends z.ZodType>(value: T) => z.record(z.string(), value).readonly();

const strings = () => list(z.string());
const drift = () => list(z.object({ item: z.string(), problem: z.string() }));
const steps = () => list(z.object({ step: z.string(), ms: z.number() }));

const workload = () =>
  z.object({
    state: z.string(),
    reason: z.string().optional(),
    restarts: z.number(),
    startedAt: z.string().optional(),
    address: z.string().optional(),
  });

const summary = () =>
  z.object({
    name: z.string(),
    version: z.string(),
    state: z.string(),
    dependencies: strings(),
    deployedAt: z.string(),
  });

export const enclaveInfoSchema = () =>
  z.object({
    enclave: z.string(),
    cluster: z.object({
      kind: z.string(),
      available: z.boolean(),
      reason: z.string().optional(),
      version: z.string().optional(),
    }),
    enclaves: strings(),
    exo_services: map(
      z.object({
        enabled: z.boolean(),
        available: z.boolean(),
        reason: z.string().optional(),
        since: z.string().optional(),
        version: z.string().optional(),
        dependency: z.string(),
        summary: z.string(),
      }),
    ),
    tentacles: list(summary()),
    next: z.string().optional(),
    limits: map(z.number()),
    guide: strings(),
  });

export const rotateSchema = () =>
  z.object({
    operation: z.string(),
    enclave: z.string(),
    name: z.string(),
    steps: steps(),
    rotated: strings(),
    retired: z.boolean(),
    workload: workload(),
    warnings: strings(),
    next: z.string(),
  });

export const repairSchema = () =>
  z.object({
    operation: z.string(),
    enclave: z.string(),
    name: z.string(),
    unfinished: z.string(),
    steps: steps(),
    mended: strings(),
    failed: drift(),
    workload: workload().optional(),
    next: z.string(),
  });

export const repairAllSchema = () =>
  z.object({
    enclave: z.string(),
    steps: steps(),
    tentacles: list(
      z.object({ name: z.string(), unfinished: z.string(), mended: strings(), failed: drift() }),
    ),
    next: z.string(),
  });

export const deploySchema = () =>
  z.object({
    enclave: z.string(),
    name: z.string(),
    version: z.string(),
    dry_run: z.boolean(),
    revision: z.number(),
    plan_hash: z.string().optional(),
    changed: z.boolean(),
    steps: steps(),
    dependencies: list(
      z.object({
        dependency: z.string(),
        service: z.string(),
        names: map(z.string()),
        created: strings(),
        repaired: strings(),
      }),
    ),
    workflow: z.string(),
    plan: list(z.object({ action: z.string(), object: z.string() })),
    workload: workload().optional(),
    warnings: strings(),
  });

export const undeploySchema = () =>
  z.object({
    enclave: z.string(),
    name: z.string(),
    force: z.boolean(),
    steps: steps(),
    removed: strings(),
    retained: strings(),
    failed: drift(),
  });

export const statusSchema = () =>
  z.object({
    enclave: z.string(),
    name: z.string(),
    version: z.string(),
    revision: z.number(),
    state: z.string(),
    workload: workload(),
    dependencies: list(
      z.object({
        dependency: z.string(),
        service: z.string(),
        state: z.string(),
        reason: z.string().optional(),
        names: map(z.string()),
        facts: map(z.union([z.string(), z.number(), z.boolean()])).optional(),
        drift: drift().optional(),
      }),
    ),
    objects: strings().optional(),
    drift: drift().optional(),
    stages: list(strings()).optional(),
    events: list(
      z.object({
        warning: z.boolean(),
        object: z.string(),
        reason: z.string(),
        message: z.string(),
        count: z.number(),
        at: z.string(),
      }),
    ).optional(),
    deployedAt: z.string().optional(),
    operation: z
      .object({
        kind: z.string(),
        id: z.string(),
        since: z.string(),
        outcome: z.string(),
        holder: z.string().optional(),
        ended: z.string().optional(),
        error: z.string().optional(),
      })
      .optional(),
  });

export const orphansSchema = () =>
  z.object({
    enclave: z.string(),
    orphans: list(
      z.object({ name: z.string(), service: z.string(), items: strings(), since: z.string().optional() }),
    ),
    unasked: drift(),
    elsewhere: strings(),
  });

export const historySchema = () =>
  z.object({
    enclave: z.string(),
    name: z.string(),
    history: list(
      z.object({
        kind: z.string(),
        id: z.string(),
        since: z.string(),
        outcome: z.string(),
        ms: z.number(),
        caller: z.string().optional(),
        revision: z.number(),
      }),
    ),
  });

export const listSchema = () =>
  z.object({
    enclave: z.string(),
    tentacles: list(summary()),
    next: z.string().optional(),
  });

export const runSchema = () =>
  z.object({
    name: z.string(),
    ok: z.boolean(),
    result: z.unknown().optional(),
    error: z
      .object({ node: z.string().optional(), message: z.string(), hint: z.string().optional() })
      .optional(),
    durationMs: z.number(),
    nodes: list(
      z.object({ node: z.string(), ok: z.boolean(), attempts: z.number(), durationMs: z.number() }),
    ),
  });

export const logsSchema = () => z.object({ name: z.string(), lines: strings() });

export const secretsSchema = () => z.object({ name: z.string(), names: strings(), changed: z.boolean() });

export const provisionSchema = () =>
  z.object({
    enclave: z.string(),
    created: z.boolean(),
    manifest: z.string().optional(),
  });

export const deprovisionSchema = () =>
  z.object({
    enclave: z.string(),
    removed: strings(),
    failed: strings(),
    next: z.string(),
  });

export type ProvisionView = View<typeof provisionSchema>;
export type DeprovisionView = View<typeof deprovisionSchema>;
export type EnclaveInfoView = View<typeof enclaveInfoSchema>;
export type DeployView = View<typeof deploySchema>;
export type RotateView = View<typeof rotateSchema>;
export type RepairView = View<typeof repairSchema>;
export type RepairAllView = View<typeof repairAllSchema>;
export type UndeployView = View<typeof undeploySchema>;
export type StatusView = View<typeof statusSchema>;
export type OrphansView = View<typeof orphansSchema>;
export type HistoryView = View<typeof historySchema>;
export type ListView = View<typeof listSchema>;
export type RunView = View<typeof runSchema>;

/** The answer of `tool` as its type; an answer of another shape is the server's fault and says so. */
export function parseResult<T>(tool: string, schema: () => z.ZodType<T>, structured: unknown): T {
  // Checked once: compiling the check first, as zod does by itself, would take longer.
  const parsed = schema().safeParse(structured, { jitless: true });
  if (parsed.success) return parsed.data;
  const at = parsed.error.issues[0]?.path.join(".") ?? "";
  throw new Internal(`the server's answer to ${tool} is not understood${at === "" ? "" : ` (at ${at})`}`, {
    hint: "The server and this tntc may be of different versions: compare `tntc --version` on both. `-o json` prints the answer as it is.",
    cause: parsed.error,
  });
}
