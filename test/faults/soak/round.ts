import { Unavailable } from "../../../src/errors.ts";
import { createIdentity, type Identity } from "../../../src/tentacle/identity.ts";
import { leaksIn } from "../../support/leaks.ts";
import { ECHO, freshCall, workflowOf } from "../../support/platform.ts";
import type { World } from "../world.ts";
import { BUSY, BYSTANDER, BYSTANDER_CONTRACT, type Bystander } from "./bystander.ts";
import {
  type Act,
  BROKEN,
  type Disturbance,
  disturbanceWords,
  type Kill,
  killWords,
  type Plain,
  type Round,
  wordsOf,
} from "./decisions.ts";
import { judge, judgeRemoved, type Undisturbed } from "./judge.ts";
import type { Task } from "./messages.ts";
import type { Network } from "./network.ts";
import type { Outcome, SoakServer } from "./servers.ts";

/** What the rounds came to. */
export interface Tally {
  operations: number;
  done: number;
  kills: number;
  /** Rounds in which the network failed, how often it did, and how many answers to changes it lost. */
  disturbed: number;
  disturbances: number;
  lost: number;
  /** Of the tentacle that queries all the time, that ended well. */
  rotations: number;
  /** By the code of their error. */
  readonly refused: Record<string, number>;
  readonly orphans: string[];
  readonly missing: string[];
  readonly invalid: string[];
  readonly leaks: string[];
  readonly wrongExits: string[];
}

export function emptyTally(): Tally {
  return {
    operations: 0,
    done: 0,
    kills: 0,
    disturbed: 0,
    disturbances: 0,
    lost: 0,
    rotations: 0,
    refused: {},
    orphans: [],
    missing: [],
    invalid: [],
    leaks: [],
    wrongExits: [],
  };
}

/** What a round happens in. */
export interface Ground {
  readonly world: World;
  /** They reach the services through `network`. */
  readonly servers: readonly SoakServer[];
  readonly network: Network;
  readonly undisturbed: Undisturbed;
  readonly bystander: Bystander;
  /** Every secret that any server has learnt. */
  readonly secrets: Set<string>;
  readonly say: (line: string) => void;
}

/** Carries out what was decided, then one plain operation for each tentacle, and looks at what is there. */
export async function playRound(ground: Ground, number: number, round: Round, tally: Tally): Promise<void> {
  const { world, servers, say } = ground;
  const names = round.plain.map((_, index) => `r${number}-${"abc".charAt(index)}`);
  await Promise.all(
    round.before.map(async (contract, index) => {
      const name = names[index] ?? "";
      if (contract !== null) await patiently(tally, say, () => deployPlainly(world, name, contract));
      say(`  before: ${name}: ${contract === null ? "nothing" : wordsOf({ what: "deploy", contract })}`);
    }),
  );
  const { rotation } = round;
  const heal = disturb(ground, round.network, tally);
  await Promise.all(
    servers.map(async (server, index) => {
      const work = async (task: Task, kill: Kill | null, words: string): Promise<Outcome> => {
        const outcome = await server.work(task, kill?.kind === "delay" ? kill.ms : undefined);
        note(tally, outcome, `round ${number}: ${words}`);
        say(`  server ${index}: ${task.name}: ${words}: ${outcomeWords(outcome)}`);
        return outcome;
      };
      for (const [at, act] of (round.servers[index] ?? []).entries()) {
        if (rotation.server === index && rotation.before === at) {
          const words = `rotate${killWords(rotation.kill)}`;
          const { how } = await work(rotationOf(world, rotation.kill), rotation.kill, words);
          if (how === "done") tally.rotations++;
        }
        await work(taskOf(world, names[act.tentacle] ?? "", act), act.kill, wordsOf(act));
      }
    }),
  );
  tally.lost += await heal();
  for (const [index, plain] of round.plain.entries()) {
    const identity = createIdentity(world.enclave, names[index] ?? "");
    const trouble = await finish(ground, identity, plain, tally);
    say(
      `  plain: ${identity.name}: ${wordsOf(plain)}: ${trouble.length === 0 ? "whole" : trouble.join("; ")}`,
    );
  }
  await finishBystander(ground, tally);
  const { orphans } = await world.platform.operations.orphans({ enclave: world.enclave }, freshCall());
  for (const { name, service, items } of orphans)
    tally.orphans.push(`gc: ${name}: ${service} ${items.join(", ")}`);
  const written = servers.map((server) => server.written()).join("");
  for (const secret of ground.secrets)
    for (const how of leaksIn(written, secret))
      tally.leaks.push(`round ${number}: a secret in the output, ${how}`);
}

/** Lets the network fail as decided; what it gives ends that. */
function disturb(
  { network, say }: Ground,
  disturbances: readonly Disturbance[],
  tally: Tally,
): ReturnType<Network["disturb"]> {
  if (disturbances.length > 0) tally.disturbed++;
  tally.disturbances += disturbances.length;
  for (const one of disturbances) say(`  network: ${disturbanceWords(one)}`);
  return network.disturb(disturbances);
}

/** It queries on while what was left of its rotation is finished; then it has one set of credentials, which logs in. */
async function finishBystander(
  { world, undisturbed, bystander: { identity }, say }: Ground,
  tally: Tally,
): Promise<void> {
  const { enclave, name } = identity;
  try {
    await patiently(tally, say, async () => {
      const { failed } = await world.platform.operations.repair({ enclave, name }, freshCall());
      const [first] = failed;
      if (first !== undefined)
        throw new Unavailable(`left ${first.item}: ${first.problem}`, { reason: "failed", hint: "" });
    });
    const { orphans, missing, invalid } = await judge(world, identity, undisturbed);
    tally.orphans.push(...orphans);
    tally.missing.push(...missing);
    tally.invalid.push(...invalid);
    const trouble = [...orphans, ...missing, ...invalid];
    say(`  plain: ${name}: repair: ${trouble.length === 0 ? "whole" : trouble.join("; ")}`);
  } catch (error) {
    tally.wrongExits.push(`${identity.key}: plain repair failed: ${String(error)}`);
  }
}

/** One plain operation, the look at what it left, and the end of the tentacle; gives what is wrong. */
async function finish(
  { world, undisturbed, secrets, say }: Ground,
  identity: Identity,
  plain: Plain,
  tally: Tally,
): Promise<readonly string[]> {
  const { operations } = world.platform;
  const { enclave, name } = identity;
  const trouble: string[] = [];
  const add = (to: string[], found: readonly string[]): void => {
    to.push(...found);
    trouble.push(...found);
  };
  try {
    if (plain.what === "deploy") {
      await patiently(tally, say, () => deployPlainly(world, name, plain.contract));
      const { orphans, missing, invalid } = await judge(world, identity, undisturbed);
      add(tally.orphans, orphans);
      add(tally.missing, missing);
      add(tally.invalid, invalid);
      const text = await world.view.texts(identity);
      for (const secret of secrets)
        add(
          tally.leaks,
          leaksIn(text, secret).map((how) => `${identity.key}: a secret in an object, ${how}`),
        );
    }
    await patiently(tally, say, async () => {
      const { failed } = await operations.undeploy({ enclave, name, force: true }, freshCall());
      const [first] = failed;
      if (first !== undefined)
        throw new Unavailable(`left ${first.item}: ${first.problem}`, { reason: "failed", hint: "" });
    });
    add(tally.orphans, await judgeRemoved(world, identity));
  } catch (error) {
    add(tally.wrongExits, [`${identity.key}: plain ${wordsOf(plain)} failed: ${String(error)}`]);
  }
  return trouble;
}

/** A machine that is too busy to answer in time is no fault of what it is asked: three times, then it is. */
async function patiently(tally: Tally, say: Ground["say"], work: () => Promise<void>): Promise<void> {
  for (let left = 2; ; left--) {
    tally.operations++;
    try {
      await work();
      tally.done++;
      return;
    } catch (error) {
      if (!(error instanceof Unavailable) || left === 0) throw error;
      tally.refused.unavailable = (tally.refused.unavailable ?? 0) + 1;
      say(`  plain: unavailable, and tried again: ${error.message}`);
    }
  }
}

async function deployPlainly(
  { enclave, platform }: World,
  name: string,
  contract: readonly string[],
): Promise<void> {
  const request = { enclave, workflow: workflowOf(name, contract), files: { "nodes/one.ts": ECHO } };
  await platform.operations.deploy(request, freshCall());
}

function taskOf({ enclave }: World, name: string, act: Act): Task {
  const { kill, what } = act;
  const at = pointOf(kill);
  const contract = act.what === "deploy" ? act.contract : [];
  const version = act.what === "deploy" ? act.version : 0;
  const broken = version === BROKEN ? 'throw new Error("this node cannot be loaded");\n' : "";
  return {
    what,
    enclave,
    name,
    workflow: workflowOf(name, contract),
    source: `${broken}${ECHO}// version ${version}\n`,
    ...(at !== undefined && { dieAt: at }),
  };
}

function rotationOf({ enclave }: World, kill: Kill | null): Task {
  const at = pointOf(kill);
  const workflow = workflowOf(BYSTANDER, BYSTANDER_CONTRACT);
  return {
    what: "rotate",
    enclave,
    name: BYSTANDER,
    workflow,
    source: BUSY,
    ...(at !== undefined && { dieAt: at }),
  };
}

function pointOf(kill: Kill | null): string | undefined {
  if (kill?.kind === "change") return `${kill.edge} change ${kill.number}`;
  return kill?.kind === "step" ? `${kill.edge} ${kill.step}` : undefined;
}

function note(tally: Tally, outcome: Outcome, words: string): void {
  tally.operations++;
  if (outcome.how === "done") tally.done++;
  if (outcome.how === "killed") tally.kills++;
  if (outcome.how === "refused") tally.refused[outcome.code] = (tally.refused[outcome.code] ?? 0) + 1;
  if (outcome.how === "strange") tally.wrongExits.push(`${words}: ${outcome.why}`);
}

function outcomeWords(outcome: Outcome): string {
  if (outcome.how === "refused") return `refused (${outcome.code}): ${outcome.why}`;
  return outcome.how === "strange" ? `STRANGE: ${outcome.why}` : outcome.how;
}
