import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { withoutServices } from "../../config.ts";
import { startUp } from "../../up.ts";
import { connectServer } from "../client.ts";
import { walk } from "../demo/walk.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { Interrupted } from "../interrupted.ts";
import type { CommandIo } from "../io.ts";
import { renderServices } from "../render/services.ts";

/**
 * Walks the whole main job on services of its own, in a folder of its own, which is gone afterwards. Every step goes
 * through an MCP client, as an agent's would; every proof asks the services themselves.
 */
export async function run(_options: object, io: CommandIo): Promise<ExitCode> {
  const { output, signal } = io;
  const stateDir = await mkdtemp(join(tmpdir(), "tentacular-demo-"));
  // Started by root, Postgres runs as another user, who must be able to enter; what is private in it is closed by itself.
  await chmod(stateDir, 0o711);
  const started = performance.now();
  try {
    output.note(output.noteStyle.bold("Starting the services of this demo"));
    const up = await startUp({
      config: { ...io.config, stateDir },
      environment: withoutServices(),
      onProgress: (message) => output.note(output.noteStyle.dim(`  ${message}`)),
    });
    try {
      const services = await up.services;
      output.note(renderServices(services, output.noteStyle));
      const demo: CommandIo = {
        ...io,
        read: (tool, args) => demo.withServer((server) => server.call(tool, args, { signal })),
        async withServer(use) {
          const connection = await connectServer({ stateDir, signal, target: {} });
          try {
            return await use(connection);
          } finally {
            await connection.close();
          }
        },
      };
      const proofs = await walk(demo, up);
      const seconds = Math.round((performance.now() - started) / 100) / 10;
      await output.result({ ok: true, seconds, services, proofs }, () =>
        [
          "",
          `${output.style.green("The whole main job, done and proved")} in ${seconds} s:`,
          ...proofs.map((proof) => `  ${output.style.green("✓")} ${proof}`),
          "",
          `${output.style.cyan("next:")} tntc up                                   # the same services, and your data stays`,
          "      tntc init hello --with postgres,nats      # in another terminal: a tentacle of your own",
          "      tntc deploy hello, then tntc run hello",
        ].join("\n"),
      );
    } finally {
      await up.close();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Interrupted("the services of the demo have ended, and its folder is gone", "");
  } finally {
    await rm(stateDir, { recursive: true, force: true });
  }
  return exitCodes.ok;
}
