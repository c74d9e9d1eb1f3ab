import type { Server } from "node:http";
import { Unavailable } from "../errors.ts";

/** Begins to listen, and gives the port it got; `what` it serves stands in the error. */
export async function listen(server: Server, host: string, port: number, what: string): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) =>
      reject(
        new Unavailable(`${what} over HTTP cannot listen on ${host}:${port}`, {
          reason: "failed",
          hint: "Choose another port, or 0 for any free one.",
          cause: error,
        }),
      ),
    );
    server.listen(port, host, () => resolve());
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}
