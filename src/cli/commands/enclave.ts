import { InvalidInput } from "../../errors.ts";
import { ask, callTool, readTool } from "../call.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type CommandIo, enclaveArgument } from "../io.ts";
import { canAsk, confirm } from "../prompt.ts";
import { renderEnclaveInfo } from "../render/enclave-info.ts";
import { renderDeprovisioned, renderProvisioned } from "../render/enclave.ts";
import { deprovisionSchema, enclaveInfoSchema, provisionSchema } from "../results.ts";
import { plain } from "../text.ts";

/** Shows what an author can use in an enclave. */
export async function info(_options: object, io: CommandIo): Promise<ExitCode> {
  const { structured, view } = await readTool(io, "enclave_info", enclaveArgument(io), enclaveInfoSchema);
  await io.output.result(structured, () => renderEnclaveInfo(view, io.output.style, io.output.width));
  return exitCodes.ok;
}

/** Lists the enclaves of the server, a name a line. */
export async function list(_options: object, io: CommandIo): Promise<ExitCode> {
  const { view } = await readTool(io, "enclave_info", {}, enclaveInfoSchema);
  if (view.enclaves.length === 0) io.output.note("There is no enclave yet: tntc enclave provision <name>");
  await io.output.result({ enclaves: view.enclaves }, () => view.enclaves.map(plain).join("\n"));
  return exitCodes.ok;
}

export interface ProvisionOptions {
  readonly name: string;
  readonly pods?: string;
  readonly cpu?: string;
  readonly memory?: string;
  /** Only prints the manifest. */
  readonly print?: boolean;
}

/** Makes an enclave, or prints what an operator applies to make it. */
export async function provision(
  { name, print = false, ...quota }: ProvisionOptions,
  io: CommandIo,
): Promise<ExitCode> {
  const args = {
    action: "provision",
    enclave: name,
    ...(Object.keys(quota).length > 0 && { quota }),
    ...(print && { dry_run: true }),
  };
  const { structured, view } = await callTool(io, "enclave", args, provisionSchema);
  if (print && view.manifest === undefined)
    io.output.note("This cluster needs no objects for an enclave; there is nothing to apply.");
  await io.output.result(structured, () =>
    print ? (view.manifest ?? "").trimEnd() : renderProvisioned(view, io.output.style),
  );
  return exitCodes.ok;
}

/** Removes an enclave. What deletes tentacles and data is confirmed by its name, or by `--yes`. */
export async function deprovision(
  { name, force = false }: { readonly name: string; readonly force?: boolean },
  io: CommandIo,
): Promise<ExitCode> {
  if (force && !io.yes) await confirmDeletion(name, io.signal);
  const args = { action: "deprovision", enclave: name, ...(force && { force: name }) };
  const { structured, view } = await io.withServer((server) =>
    ask(server, "enclave", args, deprovisionSchema, {
      signal: io.signal,
      onProgress: ({ message }) => io.output.note(io.output.noteStyle.dim(plain(message))),
    }),
  );
  await io.output.result(structured, () => renderDeprovisioned(view, io.output.style));
  return view.failed.length === 0 ? exitCodes.ok : exitCodes.incomplete;
}

async function confirmDeletion(name: string, signal: AbortSignal): Promise<void> {
  if (!canAsk())
    throw new InvalidInput(
      `enclave deprovision --force deletes all tentacles and data of ${name} and nobody is here to confirm it`,
      { hint: "Add --yes." },
    );
  await confirm(
    `This deletes all tentacles of ${name} and their data. Type its name to go on: `,
    name,
    signal,
  );
}
