import { closest } from "fastest-levenshtein";
import pLimit from "p-limit";
import type { ServiceConfig } from "../config.ts";
import { InvalidInput, NotEnabled } from "../errors.ts";
import type { Logger } from "../log.ts";
import type { ServiceFlag } from "../pipeline/operations.ts";
import { CALLS_AT_ONCE, type Deadlines, guardRegistrar, unavailable } from "./guard.ts";
import { createProber, type Prober } from "./prober.ts";
import type { Registrar, RegistrarContext, RegistrarDefinition } from "./registrar.ts";
import { describeModes } from "./settings.ts";

/** One backing service of this installation. */
export interface Service {
  readonly definition: RegistrarDefinition;
  readonly enabled: boolean;
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
  /** Why a service that could have been there is not, by service name: what `tntc up` could not start. */
  readonly absent?: Readonly<Record<string, string>>;
  /** How long a call of a service may take, where not as usual. */
  readonly deadlines?: Deadlines | undefined;
}

/** Puts the configured services together; connects to none of them yet. */
export function createExoskeleton(options: ExoskeletonOptions): Exoskeleton {
  const services = options.definitions.map((definition) => createService(definition, options));

  function require(dependency: string): Service {
    const service = services.find(({ definition }) => definition.dependency === dependency);
    if (service === undefined) {
      const known = services.map(({ definition }) => definition.dependency);
      throw new InvalidInput(`${dependency} is no managed dependency`, {
        path: `contract.dependencies.${dependency}`,
        hint: `Did you mean ${closest(dependency, known)}? Known: ${known.join(", ")}.`,
      });
    }
    if (!service.enabled) throw notEnabled(service.definition, options);
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
    if (!enabled) return { ...base, available: false, reason: offHint(definition, options) };
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
  const settings = config[definition.service];
  let made: Promise<Registrar> | undefined;

  async function make(): Promise<Registrar> {
    if (settings?.enabled !== true) throw notEnabled(definition, options);
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
      log.warn({ service: definition.service, err: error }, "registrar could not be made");
      return {
        available: false,
        reason: "its client could not be set up; the server's log has the cause",
        latencyMs: 0,
      };
    }
  });

  return {
    definition,
    enabled: settings?.enabled === true,
    registrar,
    prober,
    waiting: () => turns.pendingCount,
    async close() {
      const registrar = await made?.catch(() => undefined);
      await registrar?.close();
    },
  };
}

function notEnabled(definition: RegistrarDefinition, options: ExoskeletonOptions): NotEnabled {
  return new NotEnabled(`exoskeleton: ${definition.service} not enabled`, {
    service: definition.service,
    path: `contract.dependencies.${definition.dependency}`,
    fix: [{ op: "remove", path: ["contract", "dependencies", definition.dependency] }],
    hint: `Remove ${definition.dependency} from the contract, or ask the operator: ${offHint(definition, options)}`,
  });
}

function offHint({ service, settings, modes }: RegistrarDefinition, { absent }: ExoskeletonOptions): string {
  const required = Object.values(settings)
    .filter((setting) => setting.required)
    .map(({ env }) => env)
    .join(", ");
  const choice = modes === undefined ? "" : ` and ${describeModes({ settings, modes })}`;
  return absent?.[service] ?? `set ${required}${choice} on the server.`;
}
