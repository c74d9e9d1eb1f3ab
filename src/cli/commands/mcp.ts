import { Internal } from "../../errors.ts";
import type { ExitCode } from "../failure.ts";
import type { CommandIo } from "../io.ts";

export async function run(_options: object, _io: CommandIo): Promise<ExitCode> {
  throw new Internal("tntc mcp is not part of this build", { hint: "" });
}

export async function config(_options: { readonly client: string }, _io: CommandIo): Promise<ExitCode> {
  throw new Internal("tntc mcp config is not part of this build", { hint: "" });
}
