import { type Command, Help } from "commander";
import { writeOut } from "./output.ts";
import { styled } from "./style.ts";

/** Shows global options on every command; usage errors are printed by `run-cli.ts`, as all errors are. */
export function formatHelp(program: Command): Command {
  return program
    .configureHelp({
      showGlobalOptions: true,
      styleTitle: (title) => styled("bold", title),
      visibleGlobalOptions: (command) =>
        globalHelp()
          .visibleGlobalOptions(command)
          .filter(({ long }) => long !== "--version"),
    })
    .configureOutput({ writeOut, writeErr: () => {}, outputError: () => {} })
    .showSuggestionAfterError();
}

/** A block of examples for `addHelpText`: a command line, and what it does where that is not plain. */
export function examples(...lines: readonly (readonly [line: string, what: string])[]): string {
  const wide = Math.max(...lines.map(([line]) => line.length));
  const shown = lines.map(([line, what]) => `  ${what === "" ? line : `${line.padEnd(wide)}  # ${what}`}`);
  return `\nExamples:\n${shown.join("\n")}`;
}

function globalHelp(): Help {
  const help = new Help();
  help.showGlobalOptions = true;
  return help;
}
