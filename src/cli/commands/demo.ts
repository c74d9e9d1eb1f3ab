import { Internal } from "../../errors.ts";
import type { ExitCode } from "../failure.ts";
import type { CommandIo } from "../io.ts";

export async function run(_options: object, _io: CommandIo): Promise<ExitCode> {
  throw new Internal("tntc demo is not part of this build", { hint: "" });
}
