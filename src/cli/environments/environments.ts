import { InvalidInput } from "../../errors.ts";
import { didYouMean } from "../../nearest.ts";
import { labelProblem } from "../../tentacle/identity.ts";

/** A server that the user's file has a name for. */
export interface Environment {
  readonly name: string;
  readonly server: string;
  /** PEM file of the authority that the server's certificate comes from. */
  readonly ca?: string;
  /** Enclave of commands that name none. */
  readonly enclave?: string;
  /** File with the server's token. */
  readonly tokenFile?: string;
}

/** The user's file, understood. */
export interface Environments {
  /** Where it is, or would be. */
  readonly path: string;
  /** Its name: what is used where nothing else is said. */
  readonly current?: string;
  readonly all: readonly Environment[];
}

/** The environment of `tntc up` on this machine; it stands in no file. */
export const localEnvironment = "local";

/** The environment of this name, undefined for `local`; an unknown name is an error that knows the near one. */
export function environmentNamed(
  { all, path }: Environments,
  name: string,
  saidBy?: string,
): Environment | undefined {
  if (name === localEnvironment) return undefined;
  const found = all.find((environment) => environment.name === name);
  if (found !== undefined) return found;
  const names = [localEnvironment, ...all.map((environment) => environment.name)];
  const by = saidBy === undefined || saidBy === path ? "" : ` (from ${saidBy})`;
  const told = didYouMean(name, names, `Known: ${names.join(", ")}.`);
  throw new InvalidInput(`there is no environment ${JSON.stringify(name)}${by}; they stand in ${path}`, {
    hint: `${told} \`tntc env add NAME URL\` makes one.`,
  });
}

/** Why `name` cannot name an environment of the file, if it cannot. */
export function nameProblem(name: string): { readonly message: string; readonly hint: string } | undefined {
  if (name === localEnvironment)
    return {
      message: "local is always there: it is the server of `tntc up` on this machine",
      hint: "Choose another name.",
    };
  const problem = labelProblem(name);
  if (problem === undefined) return undefined;
  return {
    message: `the environment name ${JSON.stringify(name)} ${problem}`,
    hint: "Use small letters, digits and dashes.",
  };
}
