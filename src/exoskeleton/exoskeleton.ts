import { setTimeout as sleep } from "node:timers/promises";
import pLimit from "p-limit";
import type { ServiceConfig } from "../config.ts";
import { InvalidInput, NotEnabled } from "../errors.ts";
import type { Logger } from "../log.ts";
import { didYouMean } from "../nearest.ts";
import type { ServiceFlag } from "../pipeline/operations.ts";
import { untilAborted } from "../until-aborted.ts";
import { CALLS_AT_ONCE, type Deadlines, guardRegistrar, unavailable } from "./guard.ts";
import { createProber, type Prober } from "./prober.ts";
import type { Registrar, RegistrarContext, RegistrarDefinition } from "./registrar.ts";
import { describeModes } from "./settings.ts";

/** One backing service of this installation. */
export interface Service {
  readonly definition: RegistrarDefinition;
  /** Also while it is being started. */
  readonly enabled: boolean;
  /** What the operator would have to do, where it is not enabled. */
  readonly whyOff: string;
  /** Waits, where it is being started, until it has or `ms` have passed. */
  readonly waitForStart: (ms: number, signal: AbortSignal) => Promise<void>;
  /** The guarded registrar, made at first use; throws NotEnabled where the service is not configured. */
  readonly registrar: () => Promise<Registrar>;
  /** Is it usable now? Throws only when the caller gives up. */
  readonly prober: Prober;
  /** Calls whose turn has not come. */
  readonly waiting: () => number;
  close(): Promise<void>;
}

/** The backing services of this installation, each optional and independent of the others. */
export interface Exoskeleton {
  readonly services: readonly Service[];
  /** The service an author means by `tentacular-x`; InvalidInput names the known ones, NotEnabled the service. */
  require(dependency: string): Service;
  /** Throws `Unavailable` with the reason when the service cannot be used now. */
  requireAvailable(service: Service, signal: AbortSignal): Promise<void>;
  flags(signal: AbortSignal): Promise<Readonly<Record<string, ServiceFlag>>>;
  close(): Promise<void>;
}

export interface ExoskeletonOptions {
  readonly definitions: readonly RegistrarDefinition[];
  /** By service name. */
  readonly config: Readonly<Record<string, ServiceConfig>>;
  readonly installation: string;
  readonly log: Logger;
  /** What registrars may use of this machine and its cluster. */
  readonly access?: Omit<RegistrarContext, "log" | "installation">;
  /** Services that are just being started, by name; `config` has none of them yet. */
  readonly starting?: Readonly<Record<string, StartingService>> | undefined;
  /** How long a call of a service may take, where not as usual. */
  readonly deadlines?: Deadlines | undefined;
}

/** A service that is being started, which may take minutes where its program is fetched first. */
export interface StartingService {
  /** What is going on, in words. */
  readonly doing: () => string;
  /** Its settings, or why it will not be there. */
  readonly started: Promise<{ readonly config: ServiceConfig } | { readonly absent: string }>;
}

/** Who looks has no time to wait. */
const LOOK_MS = 5_000;
/** A deploy has, but many clients give up after a minute. */
const DEPLOY_MS = 30_000;

/** Puts the configured services together; connects to none of them yet. */
export function createExoskeleton(options: ExoskeletonOptions): Exoskeleton {
  const services = options.definitions.map((definition) => createService(definition, options));

  function require(dependency: string): Service {
    const service = services.find(({ definition }) => definition.dependency === dependency);
    if (service === undefined) {
      const known = services.map(({ definition }) => definition.dependency);
      throw new InvalidInput(`${dependency} is no managed dependency`, {
        path: `contract.dependencies.${dependency}`,
        hint: didYouMean(dependency, known, `Known: ${known.join(", ")}.`),
      });
    }
    if (!service.enabled) throw notEnabled(service);
    return service;
  }

  async function flagOf(service: Service, signal: AbortSignal): Promise<ServiceFlag> {
    const { definition, enabled } = service;
    const base = {
      enabled,
      dependency: definition.dependency,
      summary: definition.summary,
      ...(definition.usage !== undefined && { usage: definition.usage }),
      fields: definition.fields.map(({ name }) => name),
    };
    if (!enabled) return { ...base, available: false, reason: service.whyOff };
    const { available, reason, remedy, version, since } = await service.prober.glance(signal);
    const why = [reason, remedy].filter((text) => text !== undefined).join("; ");
    return {
      ...base,
      available,
      ...(!available && { reason: why, ...(since !== undefined && { since }) }),
      ...(version !== undefined && { version }),
    };
  }

  return {
    services,
    require,
    async requireAvailable(service, signal) {
      await service.waitForStart(DEPLOY_MS, signal);
      const { available, reason, remedy } = await service.prober.ask(signal);
      if (!available) throw unavailable(service.definition, reason ?? "no reason given", remedy);
    },
    async flags(signal) {
      const flags = await Promise.all(
        services.map(async (service) => [service.definition.service, await flagOf(service, signal)] as const),
      );
      return Object.fromEntries(flags);
    },
    async close() {
      await Promise.all(services.map((service) => service.close()));
    },
  };
}

function createService(definition: RegistrarDefinition, options: ExoskeletonOptions): Service {
  const { config, installation, log, access } = options;
  let settings = config[definition.service];
  let absent: string | undefined;
  let starting = options.starting?.[definition.service];
  let made: Promise<Registrar> | undefined;
  const started = starting?.started.then((outcome) => {
    starting = undefined;
    if ("config" in outcome) settings = outcome.config;
    else absent = outcome.absent;
  });

  async function make(): Promise<Registrar> {
    if (starting !== undefined) await service.waitForStart(LOOK_MS, new AbortController().signal);
    if (starting !== undefined) throw unavailable(definition, ...whileStarting(definition, starting));
    if (settings?.enabled !== true) throw notEnabled(service);
    const registrar = await definition.create(settings.settings, { ...access, log, installation });
    const { deadlines } = options;
    return guardRegistrar(definition, registrar, { log, circuit: prober, deadlines, turns });
  }

  async function registrar(): Promise<Registrar> {
    made ??= make();
    try {
      return await made;
    } catch (error) {
      made = undefined; // the next call tries again: recovery needs no restart
      throw error;
    }
  }

  const turns = pLimit(CALLS_AT_ONCE);
  const prober = createProber(async (signal) => {
    try {
      return await (await registrar()).probe(signal);
    } catch (error) {
      if (starting !== undefined) {
        const [reason, remedy] = whileStarting(definition, starting);
        return { available: false, reason, remedy, latencyMs: 0 };
      }
      log.warn({ service: definition.service, err: error }, "registrar could not be made");
      return {
        available: false,
        reason: "its client could not be set up; the server's log has the cause",
        latencyMs: 0,
      };
    }
  });

  const service: Service = {
    definition,
    get enabled() {
      return starting !== undefined || settings?.enabled === true;
    },
    get whyOff() {
      return absent ?? offHint(definition);
    },
    async waitForStart(ms, signal) {
      if (starting === undefined || started === undefined) return;
      const ended = new AbortController();
      const late = sleep(ms, undefined, { signal: ended.signal, ref: false }).catch(() => undefined);
      await untilAborted(signal, Promise.race([started, late])).finally(() => ended.abort());
    },
    registrar,
    prober,
    waiting: () => turns.pendingCount,
    async close() {
      const registrar = await made?.catch(() => undefined);
      await registrar?.close();
    },
  };
  return service;
}

/** Why it cannot be used yet, and what to do about that. */
function whileStarting(
  { service, dependency }: RegistrarDefinition,
  { doing }: StartingService,
): readonly [reason: string, remedy: string] {
  const remedy = `Nothing is to be mended: try again in a minute, or when ${service} is available (call enclave_info). A tentacle without ${dependency} can be deployed meanwhile.`;
  return [`it is being started: ${doing()}`, remedy];
}

function notEnabled({ definition, whyOff }: Service): NotEnabled {
  return new NotEnabled(`exoskeleton: ${definition.service} not enabled`, {
    service: definition.service,
    path: `contract.dependencies.${definition.dependency}`,
    fix: [{ op: "remove", path: ["contract", "dependencies", definition.dependency] }],
    hint: `Remove ${definition.dependency} from the contract, or ask the operator: ${whyOff}`,
  });
}

function offHint({ settings, modes }: RegistrarDefinition): string {
  const required = Object.values(settings)
    .filter((setting) => setting.required)
    .map(({ env }) => env)
    .join(", ");
  const choice = modes === undefined ? "" : ` and ${describeModes({ settings, modes })}`;
  return `set ${required}${choice} on the server.`;
}
