import { mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { emptyFolder, tntc } from "./tntc.ts";

/** A home of its own, with this text in config.yaml. */
async function home(text?: string) {
  const folder = await emptyFolder();
  const file = join(folder, "tentacular", "config.yaml");
  if (text !== undefined) {
    await mkdir(join(folder, "tentacular"));
    await writeFile(file, text);
  }
  const run = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    tntc(args, { env: { XDG_CONFIG_HOME: folder, ...env } });
  return { folder, file, run };
}

/** Where nothing listens: that the address is tried shows in the error. */
const nowhere = (name: string) => `http://${name}.invalid/mcp`;
const two = `# my servers
environment: prod # the usual one
environments:
  prod:
    server: ${nowhere("prod")}
    enclave: team-a

  # borrowed
  lab: { server: ${nowhere("lab")} }
`;

describe("tntc env", () => {
  it("adds, uses, lists and removes, in a file that only its owner reads", async () => {
    const { file, run } = await home();
    expect(await run(["env", "add", "prod", "https://example.com", "-e", "team-a"])).toMatchObject({
      code: 0,
    });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await run(["env", "add", "lab", "http://10.0.0.5:8080/x", "--ca", "/etc/lab.pem"]);
    const used = await run(["env", "use", "prod"]);
    expect(used.stdout).toContain("now uses prod");
    expect(await readFile(file, "utf8")).toBe(
      [
        "environments:",
        "  prod:",
        "    server: https://example.com/mcp",
        "    enclave: team-a",
        "  lab:",
        "    server: http://10.0.0.5:8080/x",
        "    ca: /etc/lab.pem",
        "environment: prod",
        "",
      ].join("\n"),
    );
    const listed = await run(["env", "list"]);
    expect(listed.stdout).toContain("*  prod   https://example.com/mcp");
    expect(listed.stderr).toContain(`chosen by ${file}`);
    await run(["env", "remove", "prod"]);
    const { stdout } = await run(["env", "list", "-o", "json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      environments: [
        { name: "local", used: true },
        { name: "lab", server: "http://10.0.0.5:8080/x", used: false },
      ],
    });
  });

  it("keeps the comments and the order of a file, and a link to it", async () => {
    const { folder, file, run } = await home();
    const real = join(folder, "dotfile.yaml");
    await writeFile(real, two);
    await mkdir(join(folder, "tentacular"));
    await symlink(real, file);
    await run(["env", "use", "lab"]);
    expect(await readFile(real, "utf8")).toBe(two.replace("environment: prod", "environment: lab"));
    await run(["env", "remove", "lab"]);
    const text = await readFile(real, "utf8");
    expect(text).toContain("# my servers\nenvironment: local # the usual one\n");
    expect(text).not.toContain("lab");
  });

  it("fills a file that holds nothing but a comment", async () => {
    const { file, run } = await home("# later\nenvironments:\n");
    await run(["env", "add", "prod", "https://example.com"]);
    expect(await readFile(file, "utf8")).toMatch(
      /^# later\nenvironments:\n {2}prod:\n {4}server: https:\/\/example.com\/mcp\n$/,
    );
  });

  it.each([
    [["env", "add", "prod", "https://elsewhere.example"], 5, "the environment prod exists already"],
    [["env", "add", "local", "https://example.com"], 2, "local is always there"],
    [["env", "add", "Prod", "https://example.com"], 2, "must be a DNS-1123 label"],
    [["env", "add", "x", "example.com"], 2, "is no http or https URL"],
    [["env", "use", "pord"], 2, "Did you mean prod?"],
    [["env", "remove", "other"], 2, "Known: local, prod, lab."],
    [["env", "remove", "local"], 2, "cannot be removed"],
  ])("%j leaves the file alone", async (args, code, text) => {
    const { file, run } = await home(two);
    const ended = await run(args);
    expect(ended).toMatchObject({ code, stdout: "" });
    expect(ended.stderr).toContain(text);
    expect(await readFile(file, "utf8")).toBe(two);
  });

  it("warns when a variable wins over what was chosen", async () => {
    const { run } = await home(two);
    const { stderr } = await run(["env", "use", "lab"], { TENTACULAR_ENV: "prod" });
    expect(stderr).toContain("warning: TENTACULAR_ENV is set and wins: prod");
  });
});

describe("a file that is not understood", () => {
  it.each([
    ["environment: [a]\n", "line 1, column 14: environment must be one value"],
    ["environments: none\n", "line 1, column 15: environments must be a mapping"],
    [
      "environments:\n  prod:\n    sever: https://x\n",
      'line 3, column 5: unknown key "sever"\nhint: Did you mean server?',
    ],
    ["enviroments: {}\n", 'unknown key "enviroments"\nhint: Did you mean environments?'],
    ["environments:\n  prod: { ca: x.pem }\n", "the environment prod has no server"],
    ["environments:\n  local: { server: https://x }\n", "local is always there"],
    ["environments:\n  prod: {\n", "config.yaml, line "],
    ["environment: pord\nenvironments:\n  prod: { server: https://x }\n", "Did you mean prod?"],
  ])("%j is an error of every command that needs a server", async (text, message) => {
    const { file, run } = await home(text);
    const { code, stderr } = await run(["list"]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain(file);
    expect(stderr).not.toContain("workflow.yaml");
  });

  it("does not stop a command that needs none", async () => {
    const { folder, run } = await home("nonsense: 1\n");
    expect(await run(["init", "hello", "--dir", join(folder, "hello")])).toMatchObject({ code: 0 });
  });
});

describe("the configuration of an MCP client", () => {
  it.each<[string[], Record<string, string>, RegExp]>([
    [[], {}, /prod\.invalid[^"]*\/mcp"/],
    [["--env", "lab"], {}, /lab\.invalid/],
    [[], { TENTACULAR_ENV: "lab" }, /lab\.invalid/],
    [["--url", "https://other.invalid"], { TENTACULAR_ENV: "lab" }, /"https:\/\/other\.invalid\/mcp"/],
    [["--env", "local"], {}, /"args": \[\s*"[^"]*",\s*"mcp"/],
  ])("%j with %j is for the server that is meant", async (args, env, wanted) => {
    const { run } = await home(two);
    const { code, stdout, stderr } = await run(["mcp", "config", "--client", "cursor", ...args], env);
    expect(code).toBe(0);
    expect(stdout).toMatch(wanted);
    // What nobody said on this command line is told.
    expect(stderr.includes("It calls the environment")).toBe(
      !args.includes("--url") && !args.includes("local"),
    );
  });

  it("asks for no login at a server of this machine", async () => {
    const { run } = await home(two);
    const { code, stderr } = await run(["mcp", "config", "--env", "local", "--oauth"]);
    expect(code).toBe(2);
    expect(stderr).toContain("--url URL or --env NAME");
  });
});

describe("which server", () => {
  it.each<[string[], Record<string, string>, string]>([
    [[], {}, "prod.invalid"],
    [["--env", "lab"], {}, "lab.invalid"],
    [[], { TENTACULAR_ENV: "lab" }, "lab.invalid"],
    [[], { TENTACULAR_ENV: "lab", TNTC_SERVER: nowhere("variable") }, "variable.invalid"],
    [["--env", "lab"], { TNTC_SERVER: nowhere("variable") }, "lab.invalid"],
    [["--server", nowhere("option")], { TENTACULAR_ENV: "lab" }, "option.invalid"],
    [["--env", "local"], { TNTC_SERVER: nowhere("variable") }, "no Tentacular server is running"],
  ])("%j with %j", async (args, env, text) => {
    const { run } = await home(two);
    const { code, stderr } = await run(["list", ...args], env);
    expect(code).toBe(7);
    expect(stderr).toContain(text);
  });

  it("refuses two at once", async () => {
    const { run } = await home(two);
    const { code, stderr } = await run(["list", "--env", "lab", "--server", nowhere("option")]);
    expect(code).toBe(2);
    expect(stderr).toContain("--server and --env both name a server");
  });
});
