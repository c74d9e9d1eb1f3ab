/** Programs that can start `tntc mcp` and whose configuration we can print. */
export const mcpClients = ["claude-desktop", "claude-code", "cursor", "vscode"] as const;
export type McpClient = (typeof mcpClients)[number];

/** How the client starts the server. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Where the server answers over HTTP. */
export interface ServerUrl {
  readonly url: string;
  /** The client gets its token from the server's OpenID provider: no token is configured. */
  readonly oauth?: boolean | undefined;
  /** PEM file of the authority behind its certificate, where that is one of the operator's own. */
  readonly ca?: string | undefined;
}

export interface ClientConfig {
  /** JSON, ready to be a file or to be merged into one. */
  readonly text: string;
  /** Where the client reads it. */
  readonly path: string;
  /** What to do afterwards. */
  readonly hint: string;
}

const places: Readonly<Record<McpClient, { readonly path: string; readonly hint: string }>> = {
  "claude-desktop": {
    path: "macOS: ~/Library/Application Support/Claude/claude_desktop_config.json; Windows: %APPDATA%\\Claude\\claude_desktop_config.json",
    hint: "Settings > Developer > Edit Config opens it. Quit Claude Desktop and start it again.",
  },
  "claude-code": {
    path: ".mcp.json at the top of the project",
    hint: "Claude Code asks once whether to trust it; /mcp shows the state.",
  },
  cursor: {
    path: "~/.cursor/mcp.json for every project, .cursor/mcp.json for one",
    hint: "Settings > MCP shows the state.",
  },
  vscode: {
    path: ".vscode/mcp.json in the workspace",
    hint: 'Or run "MCP: Open User Configuration" for every workspace. Start it from the line above the entry.',
  },
};

/** How a person logs in at the provider. */
const logins: Readonly<Record<McpClient, string>> = {
  "claude-desktop":
    "A browser opens at the first start. A server with a public address can be added in Settings > Connectors instead.",
  "claude-code": "Choose the server in /mcp, then Authenticate: a browser opens.",
  cursor: "Cursor shows that it needs a login: a browser opens.",
  vscode: "It asks at the first start: a browser opens.",
};

/** The configuration that makes `client` start our server over stdio, or call it where it runs. */
export function clientConfig(client: McpClient, server: ServerCommand | ServerUrl): ClientConfig {
  const entry =
    "url" in server
      ? server.oauth === true
        ? oauthEntry(client, server)
        : tokenEntry(client, server)
      : localEntry(client, server);
  const config = client === "vscode" ? { servers: entry, ...inputs(server) } : { mcpServers: entry };
  const { path, hint } = places[client];
  const login = "url" in server && server.oauth === true ? `\n${logins[client]}` : "";
  const trust = "url" in server && server.ca !== undefined ? `\n${trusting(client, server.ca)}` : "";
  return { text: `${JSON.stringify(config, null, 2)}\n`, path, hint: `${hint}${login}${trust}` };
}

/** How the client comes to trust an authority that this machine need not know. */
function trusting(client: McpClient, ca: string): string {
  return client === "claude-desktop"
    ? `The entry names the authority of the server's certificate, ${ca}.`
    : `The server's certificate comes from the authority in ${ca}: add that to those the system trusts, or set NODE_EXTRA_CA_CERTS=${ca} where the client is started.`;
}

/** The variable that a client takes the token from, so that its file does not hold it. */
const TOKEN = "TENTACULAR_TOKEN";

function localEntry(client: McpClient, { command, args, env }: ServerCommand) {
  const entry = { command, args, ...(env !== undefined && Object.keys(env).length > 0 && { env }) };
  return {
    tentacular: client === "claude-code" || client === "vscode" ? { type: "stdio", ...entry } : entry,
  };
}

/** All four find the provider by what the server answers to a call without a token (RFC 9728). */
function oauthEntry(client: McpClient, { url, ca }: ServerUrl) {
  switch (client) {
    case "claude-desktop": {
      const env = ca === undefined ? {} : { env: { NODE_EXTRA_CA_CERTS: ca } };
      return { tentacular: { command: "npx", args: ["-y", "mcp-remote", url], ...env } };
    }
    case "cursor":
      return { tentacular: { url } };
    case "claude-code":
    case "vscode":
      return { tentacular: { type: "http", url } };
  }
}

function tokenEntry(client: McpClient, { url, ca }: ServerUrl) {
  switch (client) {
    case "claude-desktop":
      // Its file knows commands only, and gives them no environment but what stands here.
      return {
        tentacular: {
          command: "npx",
          args: ["-y", "mcp-remote", url, "--header", "Authorization:${AUTHORIZATION}"],
          env: {
            AUTHORIZATION: "Bearer <the token>",
            ...(ca !== undefined && { NODE_EXTRA_CA_CERTS: ca }),
          },
        },
      };
    case "claude-code":
      return { tentacular: { type: "http", url, ...authorization("${" + TOKEN + "}") } };
    case "cursor":
      return { tentacular: { url, ...authorization("${env:" + TOKEN + "}") } };
    case "vscode":
      return { tentacular: { type: "http", url, ...authorization("${input:tentacular-token}") } };
  }
}

function authorization(token: string) {
  return { headers: { Authorization: `Bearer ${token}` } };
}

/** VS Code asks for it once and keeps it among its secrets. */
function inputs(server: ServerCommand | ServerUrl) {
  if (!("url" in server) || server.oauth === true) return {};
  const description = "Token of the Tentacular server";
  return { inputs: [{ type: "promptString", id: "tentacular-token", description, password: true }] };
}
