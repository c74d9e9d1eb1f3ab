import { answers } from "./answers.ts";
import type { Asker } from "./asker.ts";
import { pick } from "./random.ts";
import type { Right, Tenant } from "./tenants.ts";

/** What a member knows of its one tentacle, as it alone changes it. */
type Known =
  | { readonly is: "absent" }
  | { readonly is: "deployed"; readonly edition: number; readonly revision: number }
  | { readonly is: "retained"; readonly edition: number; readonly revision: number }
  /** A change of it failed. */
  | { readonly is: "unknown"; readonly edition: number };

/** One client of a tenant, who does one thing after the other. */
export interface Member {
  /** Does something that somebody with these rights might do, or must not do. */
  act(): Promise<void>;
  /** Its tentacle is as it should be when nobody changes anything any more. */
  checkEnd(): Promise<void>;
  readonly name: string;
  /** The dependencies of its tentacle, where that is deployed now. */
  active(): readonly string[] | undefined;
}

export interface MemberOptions {
  readonly asker: Asker;
  readonly tenant: Tenant;
  readonly right: Right;
  /** Of its tentacle; carries the name of the enclave. */
  readonly name: string;
  readonly dependencies: readonly string[];
  /** A tentacle of the same enclave that somebody else changes meanwhile. */
  readonly peer: string;
  readonly random: () => number;
}

const looks = { info: 20, list: 15, status: 15, peek: 10, logs: 12, trespass: 6 } as const;

export function createMember(options: MemberOptions): Member {
  const { asker, tenant, right, name, dependencies, peer, random } = options;
  const { enclave } = tenant;
  const own = { enclave, name };
  let known: Known = { is: "absent" };
  let editions = 0;

  const version = (edition: number): string => `1.0.${edition}`;
  const marker = (edition: number): string => `code of ${name}, edition ${edition}`;

  async function deploy(what: string, edition: number, changes: boolean): Promise<void> {
    const before = known;
    known = { is: "unknown", edition };
    const workflow = workflowText(name, version(edition), dependencies);
    const files = {
      "nodes/one.ts": `// ${marker(edition)}\nexport default async () => ({ edition: ${edition} });\n`,
    };
    const found = await asker.ask(what, "deploy", { enclave, workflow, files }, answers.deploy);
    if (found === undefined) return;
    known = { is: "deployed", edition, revision: found.revision };
    asker.compare(what, found, { ...own, version: version(edition) });
    asker.compare(what, found.workload, { state: "ready" });
    asker.compare(
      what,
      { dependencies: found.dependencies.map(({ dependency }) => dependency).toSorted() },
      { dependencies: dependencies.toSorted() },
    );
    if (before.is !== "unknown")
      asker.compare(what, found, { changed: changes, revision: keptOf(before) + (changes ? 1 : 0) });
  }

  async function undeploy(force: boolean): Promise<void> {
    const [what, revision] = [force ? "undeploy with force" : "undeploy", keptOf(known)];
    known = { is: "unknown", edition: editions };
    const args = { ...own, ...(force && { force: name }) };
    const found = await asker.ask(what, "undeploy", args, answers.undeploy);
    if (found === undefined) return;
    asker.compare(what, found, { ...own, force });
    // A service that does not answer is told of, and its part is left for the next time.
    for (const { item, problem } of found.failed) asker.failed(what, `${item}: ${problem}`);
    if (found.failed.length > 0) return;
    const keeps = !force && dependencies.length > 0;
    asker.compare(what, { retained: found.retained.length }, { retained: keeps ? dependencies.length : 0 });
    known = keeps ? { is: "retained", edition: editions, revision } : { is: "absent" };
  }

  async function status(): Promise<void> {
    const now = known;
    if (now.is === "absent") {
      const unknown = { code: "invalid_input", message: /is not deployed|no tentacle|unknown|not known/i };
      await asker.refused("status of none", "status", own, unknown);
      return;
    }
    // A first deploy that failed has left nothing.
    const mayFail = now.is === "unknown" ? "invalid_input" : undefined;
    const found = await asker.ask("status", "status", own, answers.status, mayFail);
    if (found === undefined || now.is === "unknown") return;
    const { edition, revision } = now;
    const [state, workload, each] =
      now.is === "deployed" ? ["ready", "ready", "active"] : ["retained", "absent", "retained"];
    asker.compare("status", found, { ...own, version: version(edition), revision, state });
    asker.compare("status", found.workload, { state: workload });
    const states = Object.fromEntries(found.dependencies.map((one) => [one.dependency, one.state]));
    asker.compare(
      "status",
      { states },
      { states: Object.fromEntries(dependencies.map((one) => [one, each])) },
    );
  }

  async function list(): Promise<void> {
    const now = known;
    const found = await asker.ask("list", "status", { enclave, limit: 500 }, answers.list);
    if (found === undefined) return;
    asker.compare("list", found, { enclave });
    const mine = found.tentacles.find((one) => one.name === name);
    if (now.is === "absent") asker.compare("list", { mine }, { mine: undefined });
    else if (now.is !== "unknown")
      asker.compare("list", mine ?? {}, {
        name,
        version: version(now.edition),
        state: now.is === "deployed" ? "ready" : "retained",
      });
  }

  async function info(): Promise<void> {
    const found = await asker.ask("enclave_info", "enclave_info", { enclave }, answers.enclaveInfo);
    if (found === undefined) return;
    const enclaves = right === "deploy" ? [enclave, tenant.next] : [enclave];
    asker.compare(
      "enclave_info",
      { ...found, enclaves: found.enclaves.toSorted() },
      { enclave, enclaves: enclaves.toSorted() },
    );
    for (const service of ["postgres", "nats", "rustfs"]) {
      const { enabled, available, reason = "" } = found.exo_services[service] ?? {};
      asker.compare("enclave_info", { service, enabled }, { service, enabled: true });
      if (available === false) asker.failed("enclave_info", `${service} is unavailable: ${reason}`);
    }
  }

  async function logs(): Promise<void> {
    const now = known;
    if (now.is !== "deployed") {
      await status();
      return;
    }
    const found = await asker.ask("logs", "logs", own, answers.logs);
    if (found === undefined) return;
    const { lines, ...rest } = found;
    asker.compare("logs", { ...rest, first: lines[0] }, { ...own, first: `// ${marker(now.edition)}` });
  }

  /** How a neighbour's tentacle is right now nobody here knows, but it is that one, and its log is of it alone. */
  async function peek(): Promise<void> {
    const at = { enclave, name: peer };
    const found = await asker.ask("status of a peer", "status", at, answers.status, "invalid_input");
    if (found !== undefined) asker.compare("status of a peer", found, at);
    const log = await asker.ask("logs of a peer", "logs", at, answers.logs, "invalid_input");
    const others = log?.lines.filter(
      (line) => line.startsWith("//") && !line.startsWith(`// code of ${peer},`),
    );
    if (log !== undefined) asker.compare("logs of a peer", { ...log, others }, { ...at, others: [] });
  }

  /** Each time one of the things that this caller must not be able to do. */
  async function trespass(): Promise<void> {
    const absent = { code: "invalid_input", message: /does not exist/ };
    const kinds = {
      look: 1,
      spy: 1,
      ...(right !== "read" && { deploy: 1 }),
      ...(right === "deploy" && { foreign: 1, force: 1 }),
    };
    const at = { enclave: tenant.foreign, name };
    const draft = {
      workflow: workflowText(name, "9.9", []),
      files: { "nodes/one.ts": "export default () => 1;\n" },
    };
    switch (
      pick<"look" | "spy" | "deploy" | "foreign" | "force">(
        { deploy: 0, foreign: 0, force: 0, ...kinds },
        random,
      )
    ) {
      case "look": {
        await asker.refused("refused: info", "enclave_info", { enclave: tenant.foreign }, absent);
        return;
      }
      case "spy": {
        await asker.refused("refused: logs", "logs", at, absent);
        return;
      }
      case "deploy": {
        await asker.refused("refused: deploy", "deploy", { ...draft, enclave: tenant.foreign }, absent);
        return;
      }
      case "foreign": {
        const noScope = { code: "not_enabled", message: /needs the scope deploy/ };
        await asker.refused("refused: scope", "deploy", { ...draft, enclave: tenant.next }, noScope);
        return;
      }
      case "force": {
        const noScope = { code: "not_enabled", message: /needs the scope destroy/ };
        await asker.refused("refused: force", "undeploy", { ...own, force: name }, noScope);
        return;
      }
    }
  }

  async function change(): Promise<void> {
    if (known.is !== "deployed") {
      const first = known.is === "unknown" ? "deploy again" : "deploy";
      await deploy(first, known.is === "unknown" ? known.edition : ++editions, true);
      return;
    }
    const { edition } = known;
    const weights = { same: 3, changed: 5, undeploy: 2, force: right === "destroy" ? 2 : 0 };
    switch (pick(weights, random)) {
      case "same": {
        await deploy("redeploy, unchanged", edition, false);
        return;
      }
      case "changed": {
        await deploy("redeploy, changed", ++editions, true);
        return;
      }
      case "undeploy": {
        await undeploy(false);
        return;
      }
      case "force": {
        await undeploy(true);
        return;
      }
    }
  }

  const doing = { info, list, status, peek, logs, trespass, change };
  const weights = { ...looks, change: right === "read" ? 0 : 22 };
  return {
    name,
    act: () => doing[pick(weights, random)](),
    async checkEnd() {
      if (known.is === "unknown") await change();
      await status();
      await list();
      await logs();
    },
    active: () => (known.is === "deployed" ? dependencies : undefined),
  };
}

function keptOf(before: Known): number {
  return before.is === "deployed" || before.is === "retained" ? before.revision : 0;
}

function workflowText(name: string, version: string, dependencies: readonly string[]): string {
  const declared = dependencies.length === 0 ? ["    {}"] : dependencies.map((one) => `    ${one}:`);
  return [
    `name: ${name}`,
    `version: "${version}"`,
    ...["nodes:", "  one:", "    path: nodes/one.ts", "    description: the only node", "edges: []"],
    ...["contract:", '  version: "1"', "  dependencies:", ...declared, ""],
  ].join("\n");
}
