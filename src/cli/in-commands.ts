/*
 * Texts for agents name a call of a tool in one form: "call", the tool, and its arguments if it has any, as in
 * `call logs with name: "hello"`. An agent reads it as it is; `tntc` shows the command that does the same.
 */

const VALUE = String.raw`(?:true|"(?:[^"\\]|\\.)*")`;
const ARGUMENT = String.raw`\w+: ${VALUE}`;
const CALL = new RegExp(
  String.raw`\b([Cc])all (enclave_info|deploy|run|status|logs|rotate|repair|undeploy|secrets|enclave)\b(?: with (${ARGUMENT}(?:, ${ARGUMENT})*))?`,
  "g",
);

/** A text for agents as a person at a terminal needs it: "Run `tntc logs hello`". */
export function inCommands(text: string): string {
  return text.replaceAll(CALL, (_whole, letter: string, tool: string, words = "") => {
    const args = new Map(
      [...String(words).matchAll(new RegExp(`(\\w+): (${VALUE})`, "g"))].map(
        ([, name = "", value = ""]) => [name, value === "true" ? "" : String(JSON.parse(value))] as const,
      ),
    );
    return `${letter === "C" ? "Run" : "run"} \`tntc ${commandOf(tool, args)}\``;
  });
}

/** The command of a tool with these arguments; of those that it has no option for, nothing is said. */
function commandOf(tool: string, args: ReadonlyMap<string, string>): string {
  const name = args.get("name");
  const flags = FLAGS.flatMap(([argument, flag]) => (args.has(argument) ? [flag] : []));
  const command = tool === "status" && name === undefined ? "list" : (COMMANDS[tool] ?? tool);
  const words =
    tool === "enclave"
      ? [command, args.get("action") ?? "", args.get("enclave") ?? ""]
      : // A deploy is of the folder that one is in.
        [command, ...(tool === "deploy" || name === undefined ? [] : [name])];
  const place = tool === "enclave" ? undefined : args.get("enclave");
  return [...words, ...flags, ...(place === undefined ? [] : ["--enclave", place])].join(" ");
}

/** Those that are not named like their tool. */
const COMMANDS: Readonly<Partial<Record<string, string>>> = {
  enclave_info: "enclave info",
  secrets: "secrets list",
};

const FLAGS = [
  ["dry_run", "--dry-run"],
  ["detail", "--detail"],
  ["force", "--force"],
] as const;
