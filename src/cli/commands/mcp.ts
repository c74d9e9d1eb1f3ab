import { InvalidInput } from "../../errors.ts";
import { programFile } from "../../package-files.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import type { CommandIo } from "../io.ts";

/** Serves MCP over stdio. `main.ts` comes here only with options that say no more than the command alone. */
export async function run(): Promise<ExitCode> {
  const { serveMcp } = await import("../serve-mcp.ts");
  await serveMcp();
  return exitCodes.ok;
}

/** Prints the configuration with which an MCP client starts this very program. */
export async function config(
  { client: asked, url }: { readonly client: string; readonly url?: string },
  { output }: CommandIo,
): Promise<ExitCode> {
  const { clientConfig, mcpClients } = await import("../../server/client-config.ts");
  const client = mcpClients.find((known) => known === asked);
  if (client === undefined)
    throw new InvalidInput(`${asked} is no client that tntc knows`, {
      hint: `Known: ${mcpClients.join(", ")}.`,
    });
  const { text, path, hint } = clientConfig(
    client,
    url === undefined ? { command: process.execPath, args: [programFile(), "mcp"] } : { url },
  );
  await output.result(JSON.parse(text), () => text);
  output.note(output.noteStyle.dim(`Put it into ${path}\n${hint}`));
  return exitCodes.ok;
}
