import { readdir } from "node:fs/promises";
import { type Complete, RootCommand, type Command as Target, script as completionScript } from "@bomb.sh/tab";
import type { Command, Option } from "commander";
import { writeOut } from "../output.ts";

/**
 * Bash needs no script of the library's: that one asks for the bash-completion package, evaluates what is typed, and cannot be
 * sourced twice.
 */
const bash = `# bash completion for tntc
_tntc_complete() {
  local word
  COMPREPLY=()
  while IFS=$'\\t' read -r word _; do
    [[ $word == :* ]] || COMPREPLY+=("$(printf '%q' "$word")")
  done < <(tntc complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _tntc_complete tntc
`;

/** Prints the script that teaches a shell to ask `tntc complete`. */
export function script(shell: string): void {
  if (shell === "bash") writeOut(bash);
  else completionScript(shell, "tntc", "tntc");
}

/** Prints what could follow `words`, for the script of a shell. */
export async function complete(program: Command, words: readonly string[]): Promise<void> {
  const folders = await subfolders();
  const root = new RootCommand();
  describe(root, program, program, folders);
  for (const [path, command] of commandsBelow(program))
    describe(root.command(path, command.description()), command, program, folders);
  root.parse([...words]);
}

function describe(target: Target, command: Command, program: Command, folders: readonly string[]): void {
  const help = command.createHelp();
  const global = command === program ? [] : help.visibleOptions(program);
  for (const option of [...help.visibleOptions(command), ...global]) addOption(target, option);
  for (const argument of command.registeredArguments) {
    const values = argument.argChoices ?? (argument.name() === "dir" ? folders : []);
    target.argument(argument.name(), offer(values), argument.variadic);
  }
}

function addOption(target: Target, option: Option): void {
  const name = option.long?.replace(/^--/, "");
  if (name === undefined) return;
  const alias = option.short?.replace(/^-/, "");
  if (option.required || option.optional)
    target.option(name, option.description, offer(option.argChoices ?? []), alias);
  else target.option(name, option.description, alias);
}

function offer(values: readonly string[]): (complete: Complete) => void {
  return (complete) => {
    for (const value of values) complete(value, "");
  };
}

function commandsBelow(parent: Command, path = ""): [string, Command][] {
  return parent
    .createHelp()
    .visibleCommands(parent)
    .filter((command) => command.name() !== "help")
    .flatMap((command) => {
      const full = `${path} ${command.name()}`.trim();
      return [[full, command], ...commandsBelow(command, full)];
    });
}

async function subfolders(): Promise<string[]> {
  const entries = await readdir(".", { withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map(({ name }) => name);
}
