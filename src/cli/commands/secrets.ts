import { InvalidInput } from "../../errors.ts";
import { ask } from "../call.ts";
import type { ServerConnection } from "../client.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { askSecret, canAsk, readStdin } from "../prompt.ts";
import { secretsSchema } from "../results.ts";
import { plain } from "../text.ts";

/** Sets one secret from a prompt or stdin; a value is never an argument, where every process could read it. */
export async function set(
  { name, secret }: { readonly name: string; readonly secret: string },
  io: CommandIo,
): Promise<ExitCode> {
  const { service, key } = parseName(secret);
  // Connected first: nobody should type a secret for a server that is not there.
  return io.withServer(async (server) => {
    const value = await readValue(name, secret, io.signal);
    return send(server, name, { set: { [service]: key === undefined ? value : { [key]: value } } }, io);
  });
}

/** Lists names only. */
export async function list({ name }: { readonly name: string }, io: CommandIo): Promise<ExitCode> {
  return io.withServer((server) => send(server, name, {}, io));
}

/** Removes secrets by `service.key`, or all of a service. */
export async function remove(
  { name, secrets }: { readonly name: string; readonly secrets: readonly string[] },
  io: CommandIo,
): Promise<ExitCode> {
  for (const secret of secrets) parseName(secret);
  return io.withServer((server) => send(server, name, { remove: secrets }, io));
}

async function readValue(name: string, secret: string, signal: AbortSignal): Promise<string> {
  const value = canAsk()
    ? await askSecret(`Value of ${secret} for ${name}: `, signal)
    : (await readStdin()).replace(/\r?\n$/, "");
  if (value !== "") return value;
  throw new InvalidInput(`the value of ${secret} is empty; nothing was set`, {
    hint: `Type it at the prompt, or pipe it in: … | tntc secrets set ${name} ${secret}`,
  });
}

async function send(
  server: ServerConnection,
  name: string,
  change: Readonly<Record<string, unknown>>,
  io: CommandIo,
): Promise<ExitCode> {
  const args = { ...enclaveArgument(io), name, ...change };
  const { structured, view } = await ask(server, "secrets", args, secretsSchema, { signal: io.signal });
  if (Object.keys(change).length > 0)
    io.output.note(view.changed ? `Changed. ${name} has now:` : `Nothing to change. ${name} has:`);
  if (view.names.length === 0) io.output.note(`${name} has no secrets of its own.`);
  await io.output.result(structured, () => view.names.map(plain).join("\n"));
  return exitCodes.ok;
}

function parseName(secret: string): { service: string; key?: string } {
  const [service = "", ...rest] = secret.split(".");
  const key = rest.join(".");
  if (service === "" || (rest.length > 0 && key === ""))
    throw new InvalidInput(`${JSON.stringify(secret)} is no name of a secret`, {
      hint: "Write service.key, for instance github.token, or service alone for a plain text.",
    });
  return rest.length === 0 ? { service } : { service, key };
}
