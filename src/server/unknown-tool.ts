import type { JSONRPCMessage, McpServer } from "@modelcontextprotocol/server";
import { didYouMean } from "../nearest.ts";
import { plain } from "./text.ts";

/** What the library says to a call of a tool that there is not. */
const BARE = /^Tool (.*) not found$/s;

/** Lets the error for the name of no tool say which was probably meant, and which there are for this caller. */
export function explainUnknownTools(server: McpServer, offered: readonly string[]): McpServer {
  const { server: protocol } = server;
  const connect = protocol.connect.bind(protocol);
  protocol.connect = async (transport) => {
    await connect(transport);
    const send = transport.send.bind(transport);
    transport.send = (message, options) => send(explained(message, offered), options);
  };
  return server;
}

function explained(message: JSONRPCMessage, offered: readonly string[]): JSONRPCMessage {
  if (!("error" in message)) return message;
  const [, name] = BARE.exec(message.error.message) ?? [];
  if (name === undefined) return message;
  return { ...message, error: { ...message.error, message: unknownTool(name, offered) } };
}

function unknownTool(name: string, offered: readonly string[]): string {
  const shown = plain(name, 60);
  const hint = didYouMean(shown, offered, `The tools here: ${offered.join(", ")}.`);
  return `No tool is named ${JSON.stringify(shown)}; nothing was done. ${hint}`;
}
