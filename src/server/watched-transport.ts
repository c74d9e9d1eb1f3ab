import { StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

type Sent = Parameters<StreamableHTTPClientTransport["send"]>;

/**
 * Tells when the stream that carries a call's answer ends; the client itself would go on waiting for the answer until its
 * timeout. For one call at a time.
 */
export class WatchedTransport extends StreamableHTTPClientTransport {
  onCallEnd: (() => void) | undefined;

  override async send(...[message, options]: Sent): Promise<void> {
    const isCall = "method" in message && message.method === "tools/call";
    await super.send(message, {
      ...options,
      ...(isCall && { onRequestStreamEnd: () => this.onCallEnd?.() }),
    });
  }

  /** Aborts when the stream of the next call ends. The answer may just have come, and is handed on within that turn. */
  watchCall(): AbortSignal {
    const lost = new AbortController();
    this.onCallEnd = () => setImmediate(() => lost.abort());
    return lost.signal;
  }
}
