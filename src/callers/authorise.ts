import { InvalidInput, NotEnabled } from "../errors.ts";
import type { EnclaveInfo, OperationCall, Operations } from "../pipeline/operations.ts";
import { declaredNames } from "../tentacle/parse.ts";
import { type Caller, type Scope, scopes } from "./caller.ts";

/** What of an installation's settings bears on what a call does. */
export interface Installation {
  readonly defaultEnclave: string;
  /** Every undeploy deletes the data. */
  readonly cleanupOnUndeploy: boolean;
}

const LISTED = "Call enclave_info to see the enclaves that you may use.";

/**
 * The operations as one caller may use them: each call is checked for its scope in its enclave, and then done in exactly
 * that enclave. An enclave that the caller may not see is answered as one that does not exist.
 */
export function authoriseOperations(
  operations: Operations,
  caller: Caller,
  { defaultEnclave, cleanupOnUndeploy }: Installation,
): Operations {
  function placeOf(asked: string | undefined): string {
    const enclave = asked ?? caller.home(defaultEnclave);
    if (enclave !== undefined) return enclave;
    throw new InvalidInput("the call names no enclave, and the default one is not yours", {
      path: "enclave",
      hint: `Name one: ${LISTED}`,
    });
  }

  function check(what: string, scope: Scope, enclave: string): void {
    // One that is to be made is no error because it is not there; whether it is stays unsaid.
    if (!caller.sees(enclave) && what !== PROVISION) throw absent(enclave);
    if (caller.may(scope, enclave)) return;
    const given = scopes.findLast((one) => caller.may(one, enclave)) ?? "none";
    throw new NotEnabled(
      `${what} needs the scope ${scope} in enclave ${enclave}; ${caller.name} has ${given} there`,
      {
        path: "enclave",
        hint: `Nothing was done. Ask the operator to give ${caller.name} the scope ${scope} for enclave ${enclave} in the server's policy file${what.endsWith(FORCED) ? "; without force the data is kept, and deploy is enough" : ""}.`,
      },
    );
  }

  /** Errors about an enclave name others that are there: not for somebody who may not see them. */
  async function discreetly<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (caller.seesAll || !(error instanceof InvalidInput) || error.path !== "enclave") throw error;
      throw new InvalidInput(error.message, { path: "enclave", hint: LISTED });
    }
  }

  function allowed<Request extends { readonly enclave?: string }, Result>(
    work: (request: Request & { readonly enclave: string }, call: OperationCall) => Promise<Result>,
    need: (request: Request) => readonly [what: string, scope: Scope],
    declared: (request: Request) => string | undefined = () => undefined,
  ): (request: Request, call: OperationCall) => Promise<Result> {
    return async (request, call) => {
      const enclave = placeOf(request.enclave ?? declared(request));
      check(...need(request), enclave);
      return await discreetly(work({ ...request, enclave }, call));
    };
  }

  /** Without an enclave, for somebody who has only patterns: that of the first enclave that they match. */
  async function enclaveInfo(
    request: { readonly enclave?: string },
    call: OperationCall,
  ): Promise<EnclaveInfo> {
    // The installation's own need not be there yet, and is then no error: it stays unnamed.
    const asked = request.enclave ?? caller.home(defaultEnclave);
    if (asked === undefined) {
      const { enclaves } = await operations.enclaveInfo({}, call);
      const enclave = enclaves.find((name) => caller.sees(name));
      return await enclaveInfo({ enclave: placeOf(enclave) }, call);
    }
    check("enclave_info", "read", asked);
    const unnamed = request.enclave === undefined && asked === defaultEnclave;
    const info = await discreetly(operations.enclaveInfo(unnamed ? {} : { enclave: asked }, call));
    return { ...info, enclaves: info.enclaves.filter((name) => caller.sees(name)) };
  }

  return {
    enclaveInfo,
    deploy: allowed(
      (request, call) => operations.deploy(request, call),
      () => ["deploy", "deploy"],
      ({ workflow }) => declaredNames(workflow).enclave,
    ),
    rotate: allowed(
      (request, call) => operations.rotate(request, call),
      () => ["rotate", "deploy"],
    ),
    repair: allowed(
      (request, call) => operations.repair(request, call),
      () => ["repair", "deploy"],
    ),
    undeploy: allowed(
      (request, call) => operations.undeploy(request, call),
      ({ force }) =>
        force === true
          ? [`undeploy${FORCED}`, "destroy"]
          : cleanupOnUndeploy
            ? ["undeploy, which deletes the data on this server,", "destroy"]
            : ["undeploy", "deploy"],
    ),
    status: allowed(
      (request, call) => operations.status(request, call),
      () => ["status", "read"],
    ),
    async orphans(request, call) {
      const enclave = placeOf(request.enclave);
      check("status of orphans", "read", enclave);
      const found = await discreetly(operations.orphans({ enclave }, call));
      return { ...found, elsewhere: found.elsewhere.filter((name) => caller.sees(name)) };
    },
    list: allowed(
      (request, call) => operations.list(request, call),
      () => ["status", "read"],
    ),
    run: allowed(
      (request, call) => operations.run(request, call),
      () => ["run", "deploy"],
    ),
    logs: allowed(
      (request, call) => operations.logs(request, call),
      () => ["logs", "read"],
    ),
    secrets: allowed(
      (request, call) => operations.secrets(request, call),
      () => ["secrets", "deploy"],
    ),
    provisionEnclave: allowed(
      (request, call) => operations.provisionEnclave(request, call),
      () => [PROVISION, "destroy"],
    ),
    deprovisionEnclave: allowed(
      (request, call) => operations.deprovisionEnclave(request, call),
      () => ["deprovision", "destroy"],
    ),
  };
}

/** For a tool that the caller may use in no enclave at all. It says nothing of any enclave. */
export function scopeMissing(tool: string, scope: Scope, caller: Caller): NotEnabled {
  const given = scopes.findLast((one) => caller.mayAnywhere(one)) ?? "none";
  return new NotEnabled(`${tool} needs the scope ${scope}; ${caller.name} has ${given} at most`, {
    hint: `Nothing was done, and calling it again changes nothing. Ask the operator to give ${caller.name} the scope ${scope} for an enclave in the server's policy file.`,
  });
}

const PROVISION = "provision";
const FORCED = " with force";

/** In the words of the cluster for an enclave that is not there. */
function absent(enclave: string): InvalidInput {
  return new InvalidInput(`enclave ${JSON.stringify(enclave.slice(0, 80))} does not exist`, {
    path: "enclave",
    hint: LISTED,
  });
}
