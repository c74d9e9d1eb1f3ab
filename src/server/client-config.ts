/** Programs that can start `tntc mcp` and whose configuration we can print. */
export const mcpClients = ["claude-desktop", "claude-code", "cursor", "vscode"] as const;
export type McpClient = (typeof mcpClients)[number];

/** How the client starts the server. */
export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
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

/** The configuration that makes `client` start our server over stdio. */
export function clientConfig(client: McpClient, server: ServerCommand): ClientConfig {
  const { command, args, env } = server;
  const entry = { command, args, ...(env !== undefined && Object.keys(env).length > 0 && { env }) };
  const config =
    client === "vscode"
      ? { servers: { tentacular: { type: "stdio", ...entry } } }
      : { mcpServers: { tentacular: client === "claude-code" ? { type: "stdio", ...entry } : entry } };
  return { text: `${JSON.stringify(config, null, 2)}\n`, ...places[client] };
}
