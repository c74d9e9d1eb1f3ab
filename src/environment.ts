import { homedir } from "node:os";
import { join } from "node:path";

/** Environment variables by name; `process.env` is read in this file alone (and once by `main.ts`), which a command at a terminal loads without the server's settings. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What a command at a terminal needs to find its server. */
export interface ClientConfig {
  /** `--server`'s default: TNTC_SERVER. */
  readonly server?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly enclave?: string;
  /** `--env`'s default: TENTACULAR_ENV. */
  readonly environment?: string;
  /** The user's environments: `$XDG_CONFIG_HOME/tentacular/config.yaml`. */
  readonly configFile: string;
  /** Where `tntc up` keeps everything: `$XDG_STATE_HOME/tentacular`. */
  readonly stateDir: string;
  /** Downloaded server programs: `$XDG_CACHE_HOME/tentacular`. */
  readonly cacheDir: string;
  readonly pathEnv: string;
  /** What `go install` needs of the environment, where Go builds a program that cannot be fetched. */
  readonly goEnv: Readonly<Record<string, string | undefined>>;
  /** False when NO_COLOR is set (no-color.org). */
  readonly color: boolean;
}

/** Those of this process. */
export const processEnvironment = (): Environment => process.env;

/** Of the command line; a server started from the same shell must not take it for a setting of its own. */
export const ENVIRONMENT_NAME = "TENTACULAR_ENV";

/** Reads what a command at a terminal needs. */
export function loadClientConfig(environment: Environment = processEnvironment()): ClientConfig {
  const home = homedir();
  const base = (name: string, fallback: string): string =>
    join(nonEmpty(environment[name]) ?? join(home, fallback), "tentacular");
  return {
    server: nonEmpty(environment.TNTC_SERVER),
    tokenFile: nonEmpty(environment.TNTC_TOKEN_FILE),
    ca: nonEmpty(environment.TNTC_CA),
    enclave: nonEmpty(environment.TNTC_ENCLAVE),
    environment: nonEmpty(environment[ENVIRONMENT_NAME]),
    configFile: join(base("XDG_CONFIG_HOME", ".config"), "config.yaml"),
    stateDir: base("XDG_STATE_HOME", ".local/state"),
    cacheDir: base("XDG_CACHE_HOME", ".cache"),
    pathEnv: environment.PATH ?? "",
    goEnv: Object.fromEntries(
      Object.entries(environment).filter(([name]) =>
        /^(?:GO[A-Z]+|HOME|TMPDIR|SSL_CERT_(?:FILE|DIR)|https?_proxy)$/i.test(name),
      ),
    ),
    color: nonEmpty(environment.NO_COLOR) === undefined,
  };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : text;
}
