import { CommanderError } from "commander";
import { loadClientConfig } from "../environment.ts";
import { TentacularError } from "../errors.ts";
import { readEnvironments } from "./environments/read.ts";
import { chooseTarget, type Target } from "./environments/target.ts";
import { type ExitCode, exitCodes, renderFailure, reportOf } from "./failure.ts";
import { renderInterrupted, typedOptions } from "./interrupted.ts";
import type { CommandIo, GlobalOptions } from "./io.ts";
import {
  type OutputFormat,
  createOutput,
  endQuietlyOnBrokenPipe,
  outputFormats,
  writeError,
} from "./output.ts";
import { type Invocation, createProgram } from "./program.ts";
import { readDirectly } from "./read-directly.ts";
import { createStyle } from "./style.ts";
import { usageError } from "./usage.ts";

/** Runs one command line and gives the process's exit code; every failure has been printed. */
export async function runCli(argv: readonly string[]): Promise<ExitCode> {
  endQuietlyOnBrokenPipe();
  const controller = new AbortController();
  const stopListening = abortOnSignals(controller);
  const state: { exitCode: ExitCode; color: boolean } = { exitCode: exitCodes.ok, color: true };

  const invoke: Invocation = async (options, command) => {
    const config = loadClientConfig();
    state.color = config.color;
    const target = await targetWhenAsked(options, config);
    state.exitCode = await command(createIo(options, config, target, controller.signal));
  };
  const program = createProgram(invoke);
  try {
    await program.parseAsync(argv.length === 0 ? ["help"] : argv, { from: "user" });
    return state.exitCode;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    const style = createStyle(state.color && process.stderr.isTTY);
    if (controller.signal.aborted && !(error instanceof TentacularError)) {
      writeError(await renderInterrupted(error, formatIn(argv), style));
      return exitCodes.interrupted;
    }
    const known = error instanceof CommanderError ? usageError(error, argv, program) : error;
    const { report, exitCode } = reportOf(known, `tntc ${argv[0] ?? ""}`.trim());
    writeError(await renderFailure(report, formatIn(argv), style));
    return exitCode;
  } finally {
    stopListening();
  }
}

/** A mistake in the user's file stops the commands that ask for a server, and no other. */
async function targetWhenAsked(options: GlobalOptions, config: CommandIo["config"]): Promise<() => Target> {
  try {
    const target = chooseTarget(options, config, await readEnvironments(config.configFile));
    return () => target;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

function createIo(
  options: GlobalOptions,
  config: CommandIo["config"],
  target: () => Target,
  signal: AbortSignal,
): CommandIo {
  const withServer: CommandIo["withServer"] = async (use) => {
    const { connectServer } = await import("./client.ts");
    const connection = await connectServer({ stateDir: config.stateDir, signal, target: target() });
    try {
      return await use(connection);
    } finally {
      await connection.close();
    }
  };
  return {
    config,
    output: createOutput(outputFormats.find((format) => format === options.output) ?? "text", config.color),
    signal,
    yes: options.yes === true,
    typed: typedOptions(options),
    target,
    async read(tool, args) {
      const read = await readDirectly({ stateDir: config.stateDir, signal, target: target() }, tool, args);
      return read === undefined
        ? withServer((server) => server.call(tool, args, { signal }))
        : read.structured;
    },
    withServer,
  };
}

/** The first signal asks the command to stop, the second ends the process as it would without us. */
function abortOnSignals(controller: AbortController): () => void {
  const names = ["SIGINT", "SIGTERM"] as const;
  const onSignal = () => {
    stop();
    controller.abort();
  };
  const stop = () => {
    for (const name of names) process.off(name, onSignal);
  };
  for (const name of names) process.on(name, onSignal);
  return stop;
}

/** The asked-for format also of an error that comes before the options are understood. */
function formatIn(argv: readonly string[]): OutputFormat {
  const text = argv.join(" ");
  const asked = /(?:^|\s)(?:-o[ =]?|--output[ =])(json|yaml)(?:\s|$)/.exec(text)?.[1];
  return outputFormats.find((format) => format === asked) ?? "text";
}
