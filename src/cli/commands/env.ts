import { resolve } from "node:path";
import { Conflict, InvalidInput } from "../../errors.ts";
import {
  type Environments,
  environmentNamed,
  localEnvironment,
  nameProblem,
} from "../environments/environments.ts";
import { readEnvironments } from "../environments/read.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { serverUrl } from "../find-server.ts";
import type { CommandIo } from "../io.ts";
import { columns } from "../text.ts";

export interface AddOptions {
  readonly name: string;
  readonly url: string;
  readonly ca?: string;
  readonly enclave?: string;
  readonly tokenFile?: string;
}

/** Lists the environments; the one that commands use now is marked. */
export async function list(_options: object, io: CommandIo): Promise<ExitCode> {
  const environments = await readEnvironments(io.config.configFile);
  const used = io.target();
  const inUse = ({ name, server }: { name: string; server?: string }) =>
    server === undefined ? used.server === undefined : used.environment === name;
  const rows = [{ name: localEnvironment }, ...environments.all].map((environment) => ({
    ...environment,
    used: inUse(environment),
  }));
  await io.output.result(
    {
      file: environments.path,
      environments: rows,
      ...(used.environment === undefined && used.server !== undefined && { server: used.server }),
    },
    () =>
      columns([
        ["", "NAME", "SERVER", "ENCLAVE"].map(io.output.style.dim),
        ...rows.map((row) => [
          row.used ? io.output.style.green("*") : "",
          io.output.style.bold(row.name),
          "server" in row ? row.server : "that of `tntc up` on this machine",
          ("enclave" in row ? row.enclave : undefined) ?? "-",
        ]),
      ]),
  );
  if (used.environment === undefined && used.server !== undefined)
    io.output.note(`None of them is used: ${used.saidBy ?? ""} names ${used.server}.`);
  else if (used.saidBy !== undefined) io.output.note(io.output.noteStyle.dim(`* chosen by ${used.saidBy}`));
  return exitCodes.ok;
}

/** Makes an environment the one that commands use where nothing else is said. */
export async function use({ name }: { readonly name: string }, io: CommandIo): Promise<ExitCode> {
  const environments = await readEnvironments(io.config.configFile);
  environmentNamed(environments, name);
  const { useEnvironment } = await import("../environments/edit.ts");
  await useEnvironment(environments.path, name);
  await done(io, { used: name }, `Every tntc command now uses ${name}; --env NAME chooses for one command.`);
  const { server, environment: variable } = io.config;
  if (server !== undefined) io.output.warn(`TNTC_SERVER is set and wins: ${server}`);
  else if (variable !== undefined && variable !== name)
    io.output.warn(`TENTACULAR_ENV is set and wins: ${variable}`);
  return exitCodes.ok;
}

/** Adds an environment to the user's file. */
export async function add(options: AddOptions, io: CommandIo): Promise<ExitCode> {
  const { name, ca, enclave, tokenFile } = options;
  const problem = nameProblem(name);
  if (problem !== undefined) throw new InvalidInput(problem.message, { hint: problem.hint });
  const environments = await readEnvironments(io.config.configFile);
  refuseDouble(environments, name);
  const server = serverUrl(options.url).href;
  const { addEnvironment } = await import("../environments/edit.ts");
  await addEnvironment(environments.path, {
    name,
    server,
    ...(ca !== undefined && { ca: resolve(ca) }),
    ...(enclave !== undefined && { enclave }),
    ...(tokenFile !== undefined && { tokenFile: resolve(tokenFile) }),
  });
  await done(
    io,
    { added: name, server, file: environments.path },
    `Added ${name} (${server}) to ${environments.path}.\n` +
      `${io.output.style.cyan("next:")} tntc env use ${name}, or --env ${name} for one command`,
  );
  return exitCodes.ok;
}

/** Takes an environment out of the user's file. */
export async function remove({ name }: { readonly name: string }, io: CommandIo): Promise<ExitCode> {
  const environments = await readEnvironments(io.config.configFile);
  if (environmentNamed(environments, name) === undefined)
    throw new InvalidInput("the environment local cannot be removed: it is the server of `tntc up`", {
      hint: "`tntc env list` shows the others.",
    });
  const { removeEnvironment } = await import("../environments/edit.ts");
  await removeEnvironment(environments, name);
  await done(io, { removed: name }, `Removed ${name}.`);
  return exitCodes.ok;
}

function refuseDouble({ all, path }: Environments, name: string): void {
  const known = all.find((environment) => environment.name === name);
  if (known === undefined) return;
  throw new Conflict(`the environment ${name} exists already: ${known.server}`, {
    hint: `Change it in ${path}, or \`tntc env remove ${name}\` first.`,
  });
}

async function done(io: CommandIo, structured: object, text: string): Promise<void> {
  await io.output.result(structured, () => text);
}
