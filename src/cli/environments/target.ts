import type { ClientConfig } from "../../environment.ts";
import { InvalidInput } from "../../errors.ts";
import type { GlobalOptions } from "../io.ts";
import { environmentNamed, type Environments } from "./environments.ts";

/** Which server a command talks to, with which token, in which enclave. */
export interface Target {
  /** Absent: the one of `tntc up` on this machine. */
  readonly server?: string;
  readonly ca?: string;
  readonly tokenFile?: string;
  /** The server has a default of its own. */
  readonly enclave?: string;
  /** The environment that the server comes from. */
  readonly environment?: string;
  /** What chose it, for people: `--server`, `TENTACULAR_ENV`, a file; absent where nothing did. */
  readonly saidBy?: string;
}

type Values = Pick<Target, "ca" | "tokenFile" | "enclave">;

/**
 * The command line wins over variables, and variables over the file. A token goes with its server: what the file or a
 * variable has for one server is never sent to another that was named more closely.
 */
export function chooseTarget(
  asked: Omit<GlobalOptions, "output">,
  config: ClientConfig,
  environments: Environments,
): Target {
  if (asked.server !== undefined && asked.env !== undefined)
    throw new InvalidInput("--server and --env both name a server", { hint: "Give one of them." });
  if (asked.env !== undefined) {
    const environment = environmentNamed(environments, asked.env, "--env");
    const { enclave } = config;
    return { ...first([asked, environment ?? {}, { enclave }]), ...from(environment, "--env") };
  }
  const [server, saidBy] =
    asked.server === undefined ? [config.server, "TNTC_SERVER"] : [asked.server, "--server"];
  if (server !== undefined) return { ...first([asked, config]), server, saidBy };
  const name = config.environment ?? environments.current;
  if (name === undefined) return first([asked, config]);
  const by = config.environment === undefined ? environments.path : "TENTACULAR_ENV";
  const environment = environmentNamed(environments, name, by);
  return { ...first([asked, config, environment ?? {}]), ...from(environment, by) };
}

function from(
  environment: { readonly name: string; readonly server: string } | undefined,
  saidBy: string,
): Partial<Target> {
  return environment === undefined
    ? { saidBy }
    : { server: environment.server, environment: environment.name, saidBy };
}

/** Of each value the one of the first layer that has it. */
function first(layers: readonly Values[]): Values {
  const value = (key: keyof Values) => layers.find((layer) => layer[key] !== undefined)?.[key];
  const [ca, tokenFile, enclave] = [value("ca"), value("tokenFile"), value("enclave")];
  return {
    ...(ca !== undefined && { ca }),
    ...(tokenFile !== undefined && { tokenFile }),
    ...(enclave !== undefined && { enclave }),
  };
}
