import fc from "fast-check";
import type { Fault } from "../../support/fault-proxy.ts";
import type { BackendName } from "../backends.ts";

export const SERVERS = 3;
export const TENTACLES = 3;

/** How a server process comes to its end in the middle of an operation. */
export type Kill =
  /** At so many changes that it made in services and cluster. */
  | { readonly kind: "change"; readonly edge: "before" | "after"; readonly number: number }
  | { readonly kind: "step"; readonly edge: "before" | "after"; readonly step: string }
  /** From outside, whatever it is at. */
  | { readonly kind: "delay"; readonly ms: number };

/** What one server is told to do. */
export type Act = (
  | {
      readonly what: "deploy";
      readonly contract: readonly string[];
      /** Of its only node; the last of them never gets ready. */
      readonly version: number;
    }
  | { readonly what: "rotate" | "undeploy" | "force" | "repair" }
  /** Of the whole enclave. */
  | { readonly what: "repair all" | "gc" }
) & { readonly tentacle: number; readonly kill: Kill | null };

/** What ends a round for one tentacle, undisturbed. */
export type Plain =
  { readonly what: "deploy"; readonly contract: readonly string[] } | { readonly what: "force" };

/** What the network between servers and one service does in a round. */
export type Disturbance = { readonly service: BackendName } & (
  | { readonly what: "fault"; readonly fault: Fault; readonly afterMs: number; readonly lastsMs: number }
  /** The answer to one change is lost, after so many that arrive. */
  | { readonly what: "loss"; readonly after: number }
);

/** A rotation of the tentacle that queries all the time: by which server, before which of its other acts. */
export interface Rotation {
  readonly server: number;
  readonly before: number;
  readonly kill: Kill | null;
}

/** Everything that is decided about a round: who does what, who dies where, and what the network does. */
export interface Round {
  /** What is deployed before anything happens, for each tentacle; null: nothing. */
  readonly before: readonly (readonly string[] | null)[];
  /** For each server, one act after another. */
  readonly servers: readonly (readonly Act[])[];
  /** For each tentacle. */
  readonly plain: readonly Plain[];
  /** None in about half of all rounds. */
  readonly network: readonly Disturbance[];
  readonly rotation: Rotation;
}

const SERVICES = ["tentacular-postgres", "tentacular-nats", "tentacular-rustfs"];
const STEPS =
  "lock load plan journal register enrich inject apply commit rollout retire close remove unregister";
/** The node of this version cannot be loaded. */
export const BROKEN = 3;

const edge = fc.constantFrom("before" as const, "after" as const);
const kill = fc.oneof(
  { weight: 5, arbitrary: fc.constant(null) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("change" as const),
      edge,
      number: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("step" as const),
      edge,
      step: fc.constantFrom(...STEPS.split(" ")),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("delay" as const), ms: fc.integer({ min: 0, max: 4_000 }) }),
  },
);
const contract = fc.subarray(SERVICES);
const deploy = fc.record({ what: fc.constant("deploy" as const), contract });
const operation = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      what: fc.constant("deploy" as const),
      contract,
      version: fc.integer({ min: 0, max: BROKEN }),
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      what: fc.constantFrom(
        "rotate" as const,
        "rotate" as const,
        "undeploy" as const,
        "force" as const,
        "repair" as const,
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ what: fc.constantFrom("repair all" as const, "gc" as const) }) },
);
const act: fc.Arbitrary<Act> = fc
  .tuple(operation, fc.record({ tentacle: fc.nat({ max: TENTACLES - 1 }), kill }))
  .map(([of, how]) => ({ ...of, ...how }));
const plain: fc.Arbitrary<Plain> = fc.oneof(
  { weight: 3, arbitrary: deploy },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("force" as const) }) },
);
const fault = fc.oneof(
  fc.record({
    kind: fc.constantFrom(
      "refused" as const,
      "silence" as const,
      "client deaf" as const,
      "service deaf" as const,
    ),
  }),
  fc.record({ kind: fc.constant("late" as const), ms: fc.integer({ min: 50, max: 2_000 }) }),
  fc.record({ kind: fc.constant("drip" as const), ms: fc.integer({ min: 1, max: 20 }) }),
);
const service = fc.constantFrom("postgres" as const, "nats" as const, "rustfs" as const);
const disturbance: fc.Arbitrary<Disturbance> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      service,
      what: fc.constant("fault" as const),
      fault,
      afterMs: fc.integer({ min: 0, max: 4_000 }),
      lastsMs: fc.integer({ min: 200, max: 8_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      service,
      what: fc.constant("loss" as const),
      after: fc.integer({ min: 0, max: 6 }),
    }),
  },
);
/** Of one service in one way at a time. */
const network: fc.Arbitrary<readonly Disturbance[]> = fc.oneof(
  fc.constant([]),
  fc.uniqueArray(disturbance, { minLength: 1, maxLength: 3, selector: (one) => one.service }),
);
const times = (length: number): { minLength: number; maxLength: number } => ({
  minLength: length,
  maxLength: length,
});
const round: fc.Arbitrary<Round> = fc.record({
  before: fc.array(fc.option(contract, { freq: 4 }), times(TENTACLES)),
  servers: fc.array(fc.array(act, { minLength: 4, maxLength: 7 }), times(SERVERS)),
  plain: fc.array(plain, times(TENTACLES)),
  network,
  rotation: fc.record({ server: fc.nat({ max: SERVERS - 1 }), before: fc.nat({ max: 3 }), kill }),
});

/** The same decisions for the same seed and number, whatever happened before. */
export function decide(seed: number, number: number): Round {
  const [decided] = fc.sample(fc.noBias(round), { seed: Math.imul(seed, 1_000_003) + number, numRuns: 1 });
  if (decided === undefined) throw new Error("nothing was decided");
  return decided;
}

/** A disturbance in words, for the trace. */
export function disturbanceWords(of: Disturbance): string {
  if (of.what === "loss") return `${of.service} loses answer ${of.after + 1} to a change`;
  const { service: name, fault: how, afterMs, lastsMs } = of;
  const by = "ms" in how ? ` by ${how.ms} ms` : "";
  return `${name} ${how.kind}${by} from ${afterMs} ms for ${lastsMs} ms`;
}

/** An act in words, for the trace. */
export function wordsOf(act: Act | Plain): string {
  const what = act.what === "deploy" ? `deploy of [${act.contract.map(short).join(" ")}]` : act.what;
  const version = "version" in act ? ` version ${act.version}` : "";
  return `${what}${version}${"kill" in act ? killWords(act.kill) : ""}`;
}

export function killWords(kill: Kill | null): string {
  switch (kill?.kind) {
    case undefined:
      return "";
    case "change":
      return `, to die ${kill.edge} change ${kill.number}`;
    case "step":
      return `, to die ${kill.edge} ${kill.step}`;
    case "delay":
      return `, to be killed after ${kill.ms} ms`;
  }
}

function short(dependency: string): string {
  return dependency.replace("tentacular-", "");
}
