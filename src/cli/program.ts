import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { mcpClients } from "../server/client-config.ts";
import { packageVersion } from "../version.ts";
import type { ExitCode } from "./failure.ts";
import { examples, formatHelp } from "./help.ts";
import type { CommandIo, GlobalOptions } from "./io.ts";
import { outputFormats } from "./output.ts";

/** Runs a command's implementation, which it loads itself, with what the global options say. */
export type Invocation = (
  options: GlobalOptions,
  command: (io: CommandIo) => Promise<ExitCode>,
) => Promise<void>;

interface DeployFlags {
  readonly dryRun?: boolean;
  readonly planHash?: string;
  readonly showWorkflow?: boolean;
  readonly replaceSecrets?: boolean;
}

/** The shells that `tntc completion` knows. */
export const shells = ["bash", "zsh", "fish", "powershell"] as const;

/** Declares every command. Nothing of a command's work is loaded before it runs: starting must stay cheap. */
export function createProgram(invoke: Invocation): Command {
  const program = new Command("tntc");
  const run = (command: Command, work: (io: CommandIo) => Promise<ExitCode>) =>
    invoke(command.optsWithGlobals<GlobalOptions>(), work);

  formatHelp(program)
    .description("Gives each AI-written workflow its own slice of Postgres, NATS, S3 and SPIFFE.")
    .version(packageVersion(), "-V, --version", "print the version")
    .addHelpCommand(
      new Command("help").argument("[command]").description("show how a command is used").helpGroup("Other:"),
    )
    .helpOption("-h, --help", "show how it is used")
    .option("-e, --enclave <name>", "enclave to work in (TNTC_ENCLAVE; default: the server's)")
    .addOption(new Option("-o, --output <format>", "what stdout gets").choices(outputFormats).default("text"))
    .option("-y, --yes", "do not ask")
    .option("--env <name>", "environment of config.yaml to work in (TENTACULAR_ENV; see tntc env)")
    .option("--server <url>", "server to talk to (TNTC_SERVER; default: that of `tntc up`)")
    .option("--token-file <path>", "file with the server's token (TNTC_TOKEN_FILE)")
    .option("--ca <path>", "PEM file of the authority to trust for its TLS (TNTC_CA)")
    .exitOverride();

  program.commandsGroup("Start here:");
  program
    .command("up")
    .description("start Postgres, NATS, RustFS and a server on this machine, and keep them running")
    .addHelpText("after", examples(["tntc up", "start everything; Ctrl-C ends it, data stays"]))
    .action((_options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/up.ts")).run({}, io)),
    );
  program
    .command("demo")
    .description("walk the whole main job on this machine, from deploy to undeploy")
    .addHelpText("after", examples(["tntc demo", "needs nothing that runs already"]))
    .action((_options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/demo.ts")).run({}, io)),
    );
  program
    .command("init")
    .description("write a new tentacle that deploys as it is")
    .argument("<name>", "its name, or a path to it: small letters, digits and dashes")
    .option("--with <services>", "managed dependencies, for instance postgres,nats,rustfs", list)
    .option("--dir <path>", "folder to write to (default: the name)")
    .addHelpText(
      "after",
      examples(
        ["tntc init hello", "a tentacle that needs no service"],
        ["tntc init teams/a/hello", "in that folder"],
        ["tntc init ledger --with postgres,nats", "with a schema and a subject of its own"],
      ),
    )
    .action((name: string, options: { with?: string[]; dir?: string }, command: Command) =>
      run(command, async (io) => (await import("./commands/init.ts")).run({ name, ...options }, io)),
    );

  program.commandsGroup("Tentacles:");
  program
    .command("validate")
    .description("check a tentacle's folder without a server")
    .argument("[dir]", "folder with workflow.yaml", ".")
    .addHelpText("after", examples(["tntc validate", "this folder"], ["tntc validate -o json ledger", ""]))
    .action((dir: string, _options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/validate.ts")).run({ dir }, io)),
    );
  program
    .command("deploy")
    .description("provision what a tentacle's contract asks for, and start it")
    .argument("[dir]", "folder with workflow.yaml", ".")
    .option("--dry-run", "print the plan and write nothing")
    .option("--plan-hash <hash>", "carry out just that plan: refused if anything has changed since")
    .option("--show-workflow", "also print workflow.yaml with its dependencies filled in")
    .option("--replace-secrets", "drop secrets that .secrets.yaml no longer has, instead of merging")
    .addHelpText(
      "after",
      examples(
        ["tntc deploy", "the tentacle in this folder"],
        ["tntc deploy ledger --dry-run", "what would be created, changed and kept"],
      ),
    )
    .action((dir: string, options: DeployFlags, command: Command) =>
      run(command, async (io) => (await import("./commands/deploy.ts")).run({ dir, ...options }, io)),
    );
  program
    .command("status")
    .description("show how a tentacle is; without a name, all of them")
    .argument("[name]", "the tentacle")
    .option("--detail", "with facts and drift of each dependency, events, objects and stages")
    .option("--operation <id>", "an operation on it: what it is at, or how it ended")
    .addHelpText("after", examples(["tntc status ledger --detail", ""], ["tntc status -o json", ""]))
    .action((name: string | undefined, options: { detail?: boolean; operation?: string }, command: Command) =>
      run(command, async (io) =>
        (await import("./commands/status.ts")).run({ ...(name !== undefined && { name }), ...options }, io),
      ),
    );
  program
    .command("history")
    .description("show the last operations on a tentacle, newest first")
    .argument("<name>", "the tentacle")
    .addHelpText("after", examples(["tntc history ledger", "who did what to it, and how it ended"]))
    .action((name: string, _options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/history.ts")).run({ name }, io)),
    );
  program
    .command("run")
    .description("run a tentacle once and print its result")
    .argument("<name>", "the tentacle")
    .option("--input <json>", "input of its first nodes: JSON, @file, or - for stdin")
    .option("--timeout <seconds>", "how long to wait for the result", positive)
    .addHelpText(
      "after",
      examples(
        [`tntc run ledger --input '{"amount": 5}'`, ""],
        ["tntc run ledger --input @event.json", "from a file"],
        ["tntc run ledger | jq .total", "stdout is the result alone"],
      ),
    )
    .action((name: string, options: { input?: string; timeout?: number }, command: Command) =>
      run(command, async (io) => (await import("./commands/run.ts")).run({ name, ...options }, io)),
    );
  program
    .command("logs")
    .description("print the last lines of a tentacle's log")
    .argument("<name>", "the tentacle")
    .option("-n, --tail <lines>", "how many lines (1 to 1000)", lines, 100)
    .addHelpText("after", examples(["tntc logs ledger --tail 20", ""]))
    .action((name: string, options: { tail: number }, command: Command) =>
      run(command, async (io) => (await import("./commands/logs.ts")).run({ name, ...options }, io)),
    );
  program
    .command("list")
    .alias("ls")
    .description("list the tentacles of an enclave")
    .option("--limit <count>", "stop after so many", positive)
    .addHelpText("after", examples(["tntc list", ""], ["tntc list -e team-a -o json", ""]))
    .action((options: { limit?: number }, command: Command) =>
      run(command, async (io) => (await import("./commands/list.ts")).run(options, io)),
    );
  program
    .command("rotate")
    .description("give a tentacle new credentials; the old ones end when it runs with the new")
    .argument("[name]", "the tentacle")
    .argument("[dependency]", "one of its dependencies, such as tentacular-postgres (default: all)")
    .option("--all", "all tentacles of the enclave, one after another, past those that fail")
    .addHelpText(
      "after",
      examples(
        ["tntc rotate ledger", "every credential it has"],
        ["tntc rotate ledger tentacular-postgres", "one"],
        ["tntc rotate --all", "every tentacle of the enclave"],
      ),
    )
    .action(
      (
        name: string | undefined,
        dependency: string | undefined,
        options: { all?: boolean },
        command: Command,
      ) =>
        run(command, async (io) =>
          (await import("./commands/rotate.ts")).run(
            {
              ...(name !== undefined && { name }),
              ...(dependency !== undefined && { dependency }),
              ...options,
            },
            io,
          ),
        ),
    );
  program
    .command("repair")
    .description("finish what was interrupted and mend what differs from what was deployed")
    .argument("[name]", "the tentacle (default: all of the enclave that need it)")
    .addHelpText(
      "after",
      examples(["tntc repair ledger", ""], ["tntc repair", "every tentacle that needs it"]),
    )
    .action((name: string | undefined, _options: object, command: Command) =>
      run(command, async (io) =>
        (await import("./commands/repair.ts")).run(name === undefined ? {} : { name }, io),
      ),
    );
  program
    .command("undeploy")
    .description("stop a tentacle and end its access; its data stays unless forced")
    .argument("<name>", "the tentacle")
    .option("--force", "delete its data too: schema, streams, objects")
    .option(
      "--dependency <name>",
      "with --force: only what this dependency kept when it was taken out of the contract",
    )
    .addHelpText(
      "after",
      examples(
        ["tntc undeploy ledger", "a later deploy finds its data again"],
        ["tntc undeploy ledger --force --yes", "leave nothing, do not ask"],
        ["tntc undeploy ledger --dependency tentacular-nats --force", "it runs on without what that kept"],
      ),
    )
    .action((name: string, options: { force?: boolean; dependency?: string }, command: Command) =>
      run(command, async (io) => (await import("./commands/undeploy.ts")).run({ name, ...options }, io)),
    );
  program
    .command("gc")
    .description("list what is left of tentacles that nobody knows of any more")
    .option("--force", "delete it for good")
    .addHelpText(
      "after",
      examples(
        ["tntc gc -e team-a", "what each service and the cluster have of them"],
        ["tntc gc -e team-a --force", "asks for the enclave's name, then deletes it"],
      ),
    )
    .action((options: { force?: boolean }, command: Command) =>
      run(command, async (io) => (await import("./commands/gc.ts")).run(options, io)),
    );

  const secrets = program.command("secrets").description("set, list and remove a tentacle's own secrets");
  secrets
    .command("set")
    .description("set one secret; its value comes from a prompt or from stdin")
    .argument("<name>", "the tentacle")
    .argument(
      "<secret>",
      "its name: service.key as in the contract's auth.secret, or service for a plain text",
    )
    .addHelpText(
      "after",
      examples(
        ["tntc secrets set ledger github.token", "asks, and shows nothing of what you type"],
        ["pass github | tntc secrets set ledger github.token", "one line end is cut off"],
      ),
    )
    .action((name: string, secret: string, _options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/secrets.ts")).set({ name, secret }, io)),
    );
  secrets
    .command("list")
    .description("list the names of its secrets, never their values")
    .argument("<name>", "the tentacle")
    .addHelpText("after", examples(["tntc secrets list ledger", ""]))
    .action((name: string, _options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/secrets.ts")).list({ name }, io)),
    );
  secrets
    .command("remove")
    .description("remove secrets")
    .argument("<name>", "the tentacle")
    .argument("<secret...>", "their names: service.key, or service for all of its keys")
    .addHelpText("after", examples(["tntc secrets remove ledger github.token", ""]))
    .action((name: string, names: string[], _options: object, command: Command) =>
      run(command, async (io) =>
        (await import("./commands/secrets.ts")).remove({ name, secrets: names }, io),
      ),
    );

  program.commandsGroup("Server:");
  const env = program.command("env").description("keep names for servers, and choose among them");
  env
    .command("list")
    .description("list them; the one that is used is marked")
    .addHelpText("after", examples(["tntc env list", ""]))
    .action((_options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/env.ts")).list({}, io)),
    );
  env
    .command("use")
    .description("choose the one that every command uses; local is that of `tntc up`")
    .argument("<name>", "its name")
    .addHelpText("after", examples(["tntc env use prod", ""], ["tntc env use local", "back to this machine"]))
    .action((name: string, _options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/env.ts")).use({ name }, io)),
    );
  env
    .command("add")
    .description("name a server; --ca, --enclave and --token-file are kept with it")
    .argument("<name>", "small letters, digits and dashes")
    .argument("<url>", "its address; without a path, /mcp is meant")
    .addHelpText(
      "after",
      examples(
        ["tntc env add prod https://tentacular.example.com --enclave team-a", ""],
        ["tntc env add lab https://10.0.0.5:8443 --ca lab-ca.pem", "with an authority of its own"],
      ),
    )
    .action((name: string, url: string, _options: object, command: Command) =>
      run(command, async (io) =>
        (await import("./commands/env.ts")).add(
          { ...command.optsWithGlobals<GlobalOptions>(), name, url },
          io,
        ),
      ),
    );
  env
    .command("remove")
    .description("forget a server's name")
    .argument("<name>", "its name")
    .addHelpText("after", examples(["tntc env remove lab", ""]))
    .action((name: string, _options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/env.ts")).remove({ name }, io)),
    );
  const enclave = program.command("enclave").description("make, list, show and remove enclaves");
  enclave
    .command("info")
    .description("show usable services, what is deployed, limits, how to declare dependencies")
    .addHelpText("after", examples(["tntc enclave info", ""], ["tntc enclave info -o json", ""]))
    .action((_options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/enclave.ts")).info({}, io)),
    );
  enclave
    .command("list")
    .description("list the enclaves that can be deployed to")
    .addHelpText("after", examples(["tntc enclave list", "a name a line"]))
    .action((_options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/enclave.ts")).list({}, io)),
    );
  enclave
    .command("provision")
    .description("make an enclave, with its quota and its walls")
    .argument("<name>", "the enclave")
    .option("--pods <count>", "quota of pods")
    .option("--cpu <quantity>", "quota of requested CPU, such as 10 or 500m")
    .option("--memory <quantity>", "quota of memory, such as 20Gi")
    .option("--print", "print the manifest and write nothing")
    .addHelpText(
      "after",
      examples(
        ["tntc enclave provision team-a --memory 8Gi", ""],
        [
          "tntc enclave provision team-a --print | kubectl apply -f -",
          "with your own rights, not the server's",
        ],
      ),
    )
    .action(
      (
        name: string,
        options: { pods?: string; cpu?: string; memory?: string; print?: boolean },
        command: Command,
      ) =>
        run(command, async (io) =>
          (await import("./commands/enclave.ts")).provision({ name, ...options }, io),
        ),
    );
  enclave
    .command("deprovision")
    .description("remove an enclave; refused while tentacles or kept data are there")
    .argument("<name>", "the enclave")
    .option("--force", "delete its tentacles and all their data first")
    .addHelpText("after", examples(["tntc enclave deprovision team-a", ""]))
    .action((name: string, options: { force?: boolean }, command: Command) =>
      run(command, async (io) =>
        (await import("./commands/enclave.ts")).deprovision({ name, ...options }, io),
      ),
    );
  program
    .command("login")
    .description("log in to the server: with a code in the browser, or with a token")
    .option("--token-stdin", "store the token that stdin holds")
    .option("--client-id <id>", "public client at the issuer (default: tntc)")
    .addHelpText(
      "after",
      examples(
        ["tntc login --env prod", "asks the server who its issuer is"],
        ["pass tentacular | tntc login --token-stdin", "a token that its operator gave you"],
      ),
    )
    .action((options: { tokenStdin?: boolean; clientId?: string }, command: Command) =>
      run(command, async (io) => (await import("./commands/login.ts")).login(options, io)),
    );
  program
    .command("logout")
    .description("forget the login, and have the issuer end it")
    .addHelpText("after", examples(["tntc logout --env prod", ""]))
    .action((_options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/login.ts")).logout({}, io)),
    );
  program
    .command("whoami")
    .description("show who you are to the server, and what you may do")
    .addHelpText("after", examples(["tntc whoami", ""], ["tntc whoami --env prod -o json", ""]))
    .action((_options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/login.ts")).whoami({}, io)),
    );
  program
    .command("serve")
    .description("serve MCP over HTTP, for many clients; settings come from the environment")
    .addHelpText(
      "after",
      examples(["tntc serve", "on 127.0.0.1:8080; docs/configuration.md lists the settings"]),
    )
    .action((_options: object, command: Command) =>
      run(command, async (io) => (await import("./commands/serve.ts")).run({}, io)),
    );
  const mcp = program
    .command("mcp")
    .description("serve MCP over stdio, for an AI agent's client to start")
    .addHelpText("after", examples(["tntc mcp", "usually started by the client; see tntc mcp config"]))
    .action((_options: object, command: Command) =>
      run(command, async () => (await import("./commands/mcp.ts")).run()),
    );
  mcp
    .command("config")
    .description("print the configuration of an MCP client")
    .addOption(new Option("--client <name>", "which client").choices(mcpClients).default("claude-desktop"))
    .option("--url <url>", "for a server that runs elsewhere, its address (default: that of --env)")
    .option("--oauth", "its provider asks for a login: no token stands in the configuration")
    .addHelpText(
      "after",
      examples(
        ["tntc mcp config --client vscode", ""],
        ["tntc mcp config --client cursor --env prod --oauth", "log in there in the browser"],
      ),
    )
    .action((options: { client: string; url?: string; oauth?: boolean }, command: Command) =>
      run(command, async (io) => (await import("./commands/mcp.ts")).config(options, io)),
    );
  program.commandsGroup("Other:");
  program
    .command("completion")
    .description("print the completion script of a shell")
    .addArgument(new Argument("<shell>", "your shell").choices(shells))
    .addHelpText(
      "after",
      examples(
        ["source <(tntc completion bash)", "now; put it into ~/.bashrc to keep it"],
        ["tntc completion fish > ~/.config/fish/completions/tntc.fish", ""],
      ),
    )
    .action(async (shell: string) => (await import("./commands/completion.ts")).script(shell));
  program
    .command("complete", { hidden: true })
    .argument("[words...]")
    .allowUnknownOption()
    .action(async (words: string[]) => (await import("./commands/completion.ts")).complete(program, words));

  return program;
}

function list(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.includes("")) throw new InvalidArgumentError("Write names with commas between them.");
  return names;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("Write a whole number from 1.");
  return value;
}

function lines(text: string): number {
  const value = positive(text);
  if (value > 1000) throw new InvalidArgumentError("At most 1000.");
  return value;
}
