import fc from "fast-check";

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

/** Everything that is decided about a round: who does what, and who dies where. */
export interface Round {
  /** What is deployed before anything happens, for each tentacle; null: nothing. */
  readonly before: readonly (readonly string[] | null)[];
  /** For each server, one act after another. */
  readonly servers: readonly (readonly Act[])[];
  /** For each tentacle. */
  readonly plain: readonly Plain[];
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
const times = (length: number): { minLength: number; maxLength: number } => ({
  minLength: length,
  maxLength: length,
});
const round: fc.Arbitrary<Round> = fc.record({
  before: fc.array(fc.option(contract, { freq: 4 }), times(TENTACLES)),
  servers: fc.array(fc.array(act, { minLength: 4, maxLength: 7 }), times(SERVERS)),
  plain: fc.array(plain, times(TENTACLES)),
});

/** The same decisions for the same seed and number, whatever happened before. */
export function decide(seed: number, number: number): Round {
  const [decided] = fc.sample(fc.noBias(round), { seed: Math.imul(seed, 1_000_003) + number, numRuns: 1 });
  if (decided === undefined) throw new Error("nothing was decided");
  return decided;
}

/** An act in words, for the trace. */
export function wordsOf(act: Act | Plain): string {
  const what = act.what === "deploy" ? `deploy of [${act.contract.map(short).join(" ")}]` : act.what;
  const version = "version" in act ? ` version ${act.version}` : "";
  return `${what}${version}${"kill" in act ? killWords(act.kill) : ""}`;
}

function killWords(kill: Kill | null): string {
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
