import type { Registrar, RegistrarContext } from "../../../src/exoskeleton/registrar.ts";
import type { Address } from "../address.ts";
import type { Reach } from "../connection.ts";
import { parseConfigMapKey } from "./config-map-key.ts";
import { createConfigMapStore } from "./config-map-store.ts";
import { createConfiguration } from "./configuration.ts";
import { createFileStore } from "./file-store.ts";
import { createAccountsFileRegistrar } from "./registrar.ts";
import { type Reloader, reloadByPid, reloadBySystemUser } from "./reload.ts";
import type { AccountsStore } from "./store.ts";
import { createValidator } from "./validate.ts";

interface AccountsTextOptions {
  readonly reach: Reach;
  readonly tentacleAddress: Address;
  readonly accountsFile?: string | undefined;
  readonly accountsConfigMap?: string | undefined;
  readonly systemNkey?: string | undefined;
  readonly pidFile?: string | undefined;
  readonly trustDomain?: string | undefined;
}

/** A call may write twice and wait for both; one that takes longer is ended. */
const DEADLINE = 2.5;

/** Makes the registrar for a server that is not in operator mode, as the settings say where its accounts are kept. */
export function createWithAccountsText(options: AccountsTextOptions, context: RegistrarContext): Registrar {
  const { reach, trustDomain, systemNkey } = options;
  const store = storeOf(options, context);
  const configuration = createConfiguration({
    store,
    reach,
    installation: context.installation,
    validate: createValidator(async () => context.findProgram?.("nats-server"), store.where),
    reload: reloaderOf(options),
    certificates: trustDomain !== undefined,
  });
  return createAccountsFileRegistrar(
    {
      reach,
      tentacleAddress: options.tentacleAddress,
      configuration,
      trustDomain,
      systemSeed: systemNkey,
      callDeadlineMs: Math.max(30_000, DEADLINE * store.patienceMs),
    },
    context,
  );
}

function storeOf(
  { accountsFile, accountsConfigMap = "" }: AccountsTextOptions,
  { kubernetes }: RegistrarContext,
): AccountsStore {
  if (accountsFile !== undefined) return createFileStore(accountsFile);
  const key = parseConfigMapKey(accountsConfigMap);
  if (key === undefined) throw new TypeError("neither an accounts file nor a ConfigMap is named");
  return createConfigMapStore(key, kubernetes);
}

function reloaderOf({ reach, pidFile, systemNkey }: AccountsTextOptions): Reloader {
  if (pidFile !== undefined) return reloadByPid(pidFile);
  if (systemNkey !== undefined) return reloadBySystemUser(reach, systemNkey);
  // The server's own config reloader looks after it.
  return async () => undefined;
}
