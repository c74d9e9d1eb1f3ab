import { randomUUID } from "node:crypto";
import type { AuthInfo, JSONRPCMessage, McpServer, RequestId, Transport } from "@modelcontextprotocol/server";
import * as z from "zod";

/** What a request of the server waits for, and whose answer it takes. */
interface Waiting {
  readonly clientId: string | undefined;
  readonly deliver: (answer: Answer) => void;
}

const errorSchema = z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() });
type Answer = { readonly result: Record<string, unknown> } | { readonly error: z.infer<typeof errorSchema> };
const id = z.string();
const answerSchema = z
  .string()
  .transform((text, { issues }): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      issues.push({ code: "custom", message: "is no JSON", input: "" });
      return z.NEVER;
    }
  })
  .pipe(
    z.union([
      z.object({ id, result: z.record(z.string(), z.unknown()) }),
      z.object({ id, error: errorSchema }),
    ]),
  );

/**
 * Brings the answers of clients of the 2025 protocols to the calls that asked: the question goes out on the stream of the
 * call, the answer comes as a request of its own, which the library would give to a fresh server that knows of nothing.
 */
export interface Replies {
  /** Gives what this server asks ids of its own, which nobody can guess, for as long as its call lasts. */
  watch(server: McpServer, authInfo: AuthInfo | undefined): McpServer;
  /** Is the message an answer that a call waits for, from the one who was asked? Then the call has it now. */
  take(text: string, clientId: string | undefined): boolean;
}

/** Knows of no question yet. */
export function createReplies(): Replies {
  const waiting = new Map<RequestId, Waiting>();

  return {
    watch(server, authInfo) {
      const connect = server.connect.bind(server);
      server.connect = async (transport) => {
        await connect(transport);
        number(transport, authInfo?.clientId);
      };
      return server;
    },
    take(text, clientId) {
      if (waiting.size === 0) return false;
      const answer = answerSchema.safeParse(text);
      if (!answer.success) return false;
      const { id, ...outcome } = answer.data;
      const asked = waiting.get(id);
      if (asked === undefined || asked.clientId !== clientId) return false;
      waiting.delete(id);
      asked.deliver(outcome);
      return true;
    },
  };

  function number(transport: Transport, clientId: string | undefined): void {
    const mine = new Set<string>();
    const send = transport.send.bind(transport);
    transport.send = async (message: JSONRPCMessage, options) => {
      if (!("method" in message && "id" in message)) {
        await send(message, options);
        return;
      }
      const id = randomUUID();
      mine.add(id);
      waiting.set(id, {
        clientId,
        deliver: (answer) => transport.onmessage?.({ jsonrpc: "2.0", id: message.id, ...answer }),
      });
      await send({ ...message, id }, options);
    };
    const { onclose } = transport;
    transport.onclose = () => {
      mine.forEach((id) => waiting.delete(id));
      onclose?.();
    };
  }
}
