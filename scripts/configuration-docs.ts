/** Writes docs/configuration.md from the settings themselves, so that the page cannot differ from the program. */
import { writeFileSync } from "node:fs";
import { format, resolveConfig } from "prettier";
import { definitions } from "../registrars/index.ts";
import { coreSettings } from "../src/config.ts";
import { describeModes, type SettingSpecs } from "../src/exoskeleton/settings.ts";

export const CONFIGURATION_PAGE = "docs/configuration.md";

/** The page's text as it should be. */
export async function configurationPage(): Promise<string> {
  const services = definitions.map(
    ({ service, summary, settings, modes }) =>
      `## ${service}\n\n${summary}\n\n${table(settings)}${modes === undefined ? "" : `\n\nBeside what is required, one of: ${describeModes({ settings, modes })}.`}`,
  );
  const page = `# Configuration

Everything is set by environment variables, read once when the server starts. A service is on when its required settings are there; only some of
them is an error that names what is missing, and so is a \`TENTACULAR_*\` name that is not listed here.

A secret can come from a file instead: \`<NAME>_FILE\` holds the path. No secret is ever printed.

\`tntc up\` sets what belongs to the services that it starts itself; a service that the environment points elsewhere is not started.

How long the server waits for a service that is slow or down is in [monitoring.md](monitoring.md#when-a-service-is-slow-silent-or-down).

## Server

${table(coreSettings)}

${services.join("\n\n")}

## Command line

| name | meaning |
| --- | --- |
| \`TNTC_SERVER\` | URL of the server, as \`--server\`. Default: the one of \`tntc up\` |
| \`TNTC_TOKEN_FILE\` | File with the bearer token, as \`--token-file\` |
| \`TNTC_CA\` | PEM file of the authority to trust for the server's TLS, as \`--ca\` |
| \`TENTACULAR_ENV\` | Environment of \`config.yaml\` to work in, as \`--env\` |
| \`TNTC_ENCLAVE\` | Enclave, as \`--enclave\` |
| \`XDG_CONFIG_HOME\` | The environments stand in \`tentacular/config.yaml\` below it. Default \`~/.config\` |
| \`XDG_STATE_HOME\` | \`tntc up\` keeps its state in \`tentacular\` below it. Default \`~/.local/state\` |
| \`XDG_CACHE_HOME\` | Fetched programs lie in \`tentacular\` below it. Default \`~/.cache\` |
| \`NO_COLOR\` | No colours when set |
`;
  return format(page, { ...(await resolveConfig(CONFIGURATION_PAGE)), parser: "markdown" });
}

function table(settings: SettingSpecs): string {
  const rows = Object.values(settings).map(({ env, required, secret, doc }) => {
    const marks = [required ? "required" : "", secret ? "secret" : ""]
      .filter((mark) => mark !== "")
      .join(", ");
    return `| \`${env}\` | ${marks} | ${doc.replaceAll("|", "\\|")} |`;
  });
  return ["| name | | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

if (import.meta.main) writeFileSync(CONFIGURATION_PAGE, await configurationPage());
