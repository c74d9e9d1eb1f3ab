import { readFile, writeFile } from "node:fs/promises";
import type { Command, Option } from "commander";
import { format } from "prettier";
import { exitCodes } from "../src/cli/failure.ts";
import { createProgram } from "../src/cli/program.ts";

/** The page whose tables are written here: all of it between the two marks. */
export const page = new URL("../docs/cli.md", import.meta.url);

const begin = "<!-- written by scripts/cli-reference.ts: do not edit below -->";
const end = "<!-- end of what is written -->";

const meanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: "Done.",
  internal: "A defect of Tentacular, or an answer that this program does not understand.",
  invalid_input:
    "The command line or the tentacle must change: the error says what and where. Nothing was written.",
  not_enabled: "The operator has not configured a service that the tentacle asks for.",
  unavailable: "A service, the cluster or the server itself cannot be used now.",
  conflict:
    "Somebody else is at it, owns an object of that name, or has changed what was planned: the error says who or what.",
  incomplete:
    "The command did its part, but what was deployed does not run (`deploy`), a node failed (`run`), or something could not be removed or mended (`undeploy`, `rotate`, `repair`).",
  no_connection:
    "The server was not reached, or the connection was lost: the error says which part of the way failed.",
  denied: "The server does not know you (`tntc login`), or does not let you do this.",
  interrupted: "Ctrl-C or SIGTERM.",
};

/** The page with its tables as the program is now. */
export async function renderPage(): Promise<string> {
  const text = await readFile(page, "utf8");
  const [before = "", rest = ""] = text.split(begin);
  const [, after = ""] = rest.split(end);
  return format([before, begin, "\n\n", reference(), "\n\n", end, after].join(""), {
    parser: "markdown",
    printWidth: 110,
  });
}

function reference(): string {
  const program = createProgram(() => Promise.resolve());
  return [
    "## Exit codes",
    table(
      ["code", "meaning"],
      Object.entries(exitCodes).map(([name, code]) => [String(code), meaningOf(name)]),
    ),
    "## Options of every command",
    options(program),
    ...commandsBelow(program).flatMap(({ path, command }) => [
      `## ${path}`,
      `\`\`\`sh\n${path} ${command.usage().replace(/^\[options\] ?/, "")}\n\`\`\``.replace(" \n", "\n"),
      sentence(command.description()),
      argumentsOf(command),
      options(command),
    ]),
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function meaningOf(name: string): string {
  return Object.entries(meanings).find(([known]) => known === name)?.[1] ?? "";
}

function commandsBelow(parent: Command, path = "tntc"): { path: string; command: Command }[] {
  return parent
    .createHelp()
    .visibleCommands(parent)
    .filter((command) => command.name() !== "help")
    .flatMap((command) => {
      const own = `${path} ${command.name()}`;
      const runs = command.commands.length === 0 || command.name() === "mcp";
      return [...(runs ? [{ path: own, command }] : []), ...commandsBelow(command, own)];
    });
}

function argumentsOf(command: Command): string {
  const rows = command.registeredArguments.map((argument) => [
    `\`${argument.required ? `<${argument.name()}>` : `[${argument.name()}]`}\``,
    sentence(argument.description) + choices(argument.argChoices) + defaultOf(argument.defaultValue),
  ]);
  return table(["argument", ""], rows);
}

function options(command: Command): string {
  const rows = command.options
    .filter((option) => !option.hidden)
    .map((option: Option) => [
      `\`${option.flags}\``,
      sentence(option.description) + choices(option.argChoices) + defaultOf(option.defaultValue),
    ]);
  return table(["option", ""], rows);
}

function choices(values: readonly string[] | undefined): string {
  return values === undefined ? "" : ` One of ${values.map((value) => `\`${value}\``).join(", ")}.`;
}

function defaultOf(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? ` Default \`${value}\`.` : "";
}

function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return first === "" || first.endsWith(".") ? first : `${first}.`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return "";
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

if (import.meta.main) await writeFile(page, await renderPage());
