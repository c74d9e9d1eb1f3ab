import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { onTestFinished } from "vitest";

/** A server that answers nobody before it is opened: who asks it at its start is not ready until then. */
export interface Gate {
  readonly port: number;
  /** Those that have asked so far. */
  readonly waiting: readonly ServerResponse[];
  /** Source of a node that asks it while it is loaded. */
  readonly source: string;
  open(): void;
}

/** Shut, and gone at the end of the test. */
export async function shutGate(): Promise<Gate> {
  const waiting: ServerResponse[] = [];
  let isOpen = false;
  const server = createServer((_request, response) => {
    if (isOpen) response.end("open");
    else waiting.push(response);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    port,
    waiting,
    source: `await (await fetch("http://127.0.0.1:${port}/")).text();\nexport default async () => ({});\n`,
    open() {
      isOpen = true;
      waiting.forEach((response) => response.end("open"));
    },
  };
}
