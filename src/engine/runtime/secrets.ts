import { parseSecret } from "../../tentacle/secret-file.ts";
import type { CompiledTentacle } from "../compiled.ts";
import { deno } from "./deno.ts";

type Values = Readonly<Record<string, string>>;

/** What is mounted below `secrets/`, read anew whenever it may have changed. */
export interface Secrets {
  /** Reads the files again; true when one differs. A rotated credential is picked up so, without a restart. */
  refresh(): boolean;
  /** What `service.key` points to; a plain text is the value of any key. */
  value(service: string, key: string): string | undefined;
  /** All of one file by key: the credentials of a managed dependency. */
  all(service: string): Values;
  /** What the contract asks for of the author's own secrets, for `ctx.secrets`. */
  readonly authored: Readonly<Record<string, Values>>;
  /** `text` without any secret value in it. */
  readonly redact: (text: string) => string;
}

/** Shorter values would cut up ordinary words. */
const LEAST_REDACTED = 8;
const HIDDEN = "[redacted]";

export function createSecrets(appDir: string): Secrets & { use(compiled: CompiledTentacle): void } {
  let services: readonly string[] = [];
  let asked: readonly { readonly service: string; readonly key: string }[] = [];
  let texts = new Map<string, string>();
  let parsed = new Map<string, Values | string>();
  let authored: Readonly<Record<string, Values>> = {};
  let hidden: readonly string[] = [];

  function refresh(): boolean {
    const now = new Map<string, string>();
    for (const service of services) {
      const text = readIfThere(`${appDir}/secrets/${service}`);
      if (text !== undefined) now.set(service, text);
    }
    if (now.size === texts.size && [...now].every(([service, text]) => texts.get(service) === text))
      return false;
    texts = now;
    parsed = new Map([...now].map(([service, text]) => [service, parseSecret(text)]));
    authored = group(
      asked.flatMap(({ service, key }) => {
        const found = value(service, key);
        return found === undefined ? [] : [{ service, key, found }];
      }),
    );
    hidden = [...secretTexts()].toSorted((a, b) => b.length - a.length);
    return true;
  }

  function value(service: string, key: string): string | undefined {
    const found = parsed.get(service);
    if (found === undefined || typeof found === "string") return found;
    return Object.hasOwn(found, key) ? found[key] : undefined;
  }

  /** Every value of an author's secret; of credentials those that are no plain facts such as the host. */
  function secretTexts(): ReadonlySet<string> {
    const found = [...parsed].flatMap(([service, values]) => {
      if (typeof values === "string") return [values.trim()];
      const managed = service.startsWith("tentacular-");
      return Object.entries(values).flatMap(([key, text]) =>
        managed && !SECRET_KEY.test(key) ? [] : [text],
      );
    });
    // In a JSON line a secret of several lines stands with its line ends escaped.
    const escaped = found.map((text) => JSON.stringify(text).slice(1, -1));
    return new Set([...found, ...escaped].filter((text) => text.length >= LEAST_REDACTED));
  }

  return {
    refresh,
    value,
    all: (service) => {
      const found = parsed.get(service);
      return found === undefined || typeof found === "string" ? {} : found;
    },
    get authored() {
      return authored;
    },
    redact: (text) => hidden.reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), text),
    use(compiled) {
      const dependencies = Object.entries(compiled.dependencies);
      asked = dependencies.flatMap(([, { kind, auth }]) =>
        kind === "host" && auth !== undefined ? [auth.secret] : [],
      );
      const managed = dependencies.flatMap(([name, { kind }]) => (kind === "managed" ? [name] : []));
      const webhooks = compiled.triggers.flatMap((trigger) =>
        trigger.type === "webhook" && trigger.secret !== undefined ? [trigger.secret.service] : [],
      );
      services = [...new Set([...managed, ...asked.map(({ service }) => service), ...webhooks])];
      refresh();
    },
  };
}

/** Keys of credentials whose values are secret: passwords, keys, and addresses that hold one. */
const SECRET_KEY = /pass|secret|creds|token|seed|^uri$/;

function group(
  entries: readonly { readonly service: string; readonly key: string; readonly found: string }[],
): Readonly<Record<string, Values>> {
  const services = Map.groupBy(entries, ({ service }) => service);
  return Object.fromEntries(
    [...services].map(([service, items]) => [
      service,
      Object.fromEntries(items.map(({ key, found }) => [key, found])),
    ]),
  );
}

function readIfThere(path: string): string | undefined {
  try {
    return deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Error && error.name === "NotFound") return undefined;
    throw error;
  }
}
