import { resolve } from "node:path";
import { InvalidInput } from "../../errors.ts";
import { programFile } from "../../package-files.ts";
import type { Target } from "../environments/target.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import type { CommandIo } from "../io.ts";

/** Serves MCP over stdio. `main.ts` comes here only with options that say no more than the command alone. */
export async function run(): Promise<ExitCode> {
  const { serveMcp } = await import("../serve-mcp.ts");
  await serveMcp();
  return exitCodes.ok;
}

/** Prints the configuration with which an MCP client starts this very program, or calls the server that is meant. */
export async function config(
  asked: { readonly client: string; readonly url?: string; readonly oauth?: boolean },
  io: CommandIo,
): Promise<ExitCode> {
  const [{ clientConfig, mcpClients }, { serverUrl }] = await Promise.all([
    import("../../server/client-config.ts"),
    import("../find-server.ts"),
  ]);
  const client = mcpClients.find((known) => known === asked.client);
  if (client === undefined)
    throw new InvalidInput(`${asked.client} is no client that tntc knows`, {
      hint: `Known: ${mcpClients.join(", ")}.`,
    });
  const { server, ca, saidBy, environment }: Partial<Target> =
    asked.url === undefined ? io.target() : { server: asked.url };
  if (server === undefined && asked.oauth === true)
    throw new InvalidInput("a server that the client starts itself asks nobody to log in", {
      hint: "Leave --oauth out, or name the server that runs elsewhere: --url URL or --env NAME.",
    });
  const { text, path, hint } = clientConfig(
    client,
    server === undefined
      ? { command: process.execPath, args: [programFile(), "mcp"] }
      : { url: serverUrl(server).href, oauth: asked.oauth, ca: ca === undefined ? undefined : resolve(ca) },
  );
  await io.output.result(JSON.parse(text), () => text);
  const chosen =
    server === undefined || saidBy === undefined
      ? ""
      : `It calls ${environment === undefined ? server : `the environment ${environment}`}, as ${saidBy} says; with --env local it starts the server of this machine.\n`;
  io.output.note(io.output.noteStyle.dim(`${chosen}Put it into ${path}\n${hint}`));
  return exitCodes.ok;
}
