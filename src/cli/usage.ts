import type { Command, CommanderError } from "commander";
import { InvalidInput } from "../errors.ts";

/** A command line that cannot be understood, as one of our errors: what is wrong, and the command whose help says more. */
export function usageError(error: CommanderError, argv: readonly string[], program: Command): InvalidInput {
  const [message = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  const path = commandPath(argv, program);
  const help = `\`${[...path, "--help"].join(" ")}\` shows how it is used.`;
  return new InvalidInput(error.code === "commander.help" ? `${path.join(" ")} needs a command` : message, {
    hint: suggestion === undefined ? help : `${suggestion.replace(/^\((.*)\)$/, "$1")} ${help}`,
  });
}

/** The command that the words lead to, as far as they lead: `tntc secrets set`. */
function commandPath(argv: readonly string[], program: Command): string[] {
  const path = [program.name()];
  let at = program;
  for (const word of argv) {
    const next = at.commands.find((command) => command.name() === word || command.aliases().includes(word));
    if (next === undefined) continue;
    path.push(next.name());
    at = next;
  }
  return path;
}
