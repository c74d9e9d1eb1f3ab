import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";

/** One request over a kept connection. An answer that is not expected throws: a floor that fails would look fast. */
export type Send = (request: {
  readonly method: string;
  readonly url: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Instead of any 2xx. */
  readonly expect?: readonly number[];
}) => Promise<string>;

/** Sends by Node's own client; `close` ends the kept connections. */
export function createSender(ca?: string): { readonly send: Send; readonly close: () => void } {
  const plain = new HttpAgent({ keepAlive: true });
  const secured = new HttpsAgent({ keepAlive: true, ...(ca !== undefined && { ca }) });
  return {
    send: ({ method, url, headers, body, expect }) =>
      new Promise((resolve, reject) => {
        const target = new URL(url);
        const isPlain = target.protocol === "http:";
        const options = {
          method,
          agent: isPlain ? plain : secured,
          headers: { ...headers, ...(body !== undefined && { "content-length": Buffer.byteLength(body) }) },
        };
        const sent = (isPlain ? httpRequest : httpsRequest)(target, options, (response) => {
          let text = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (text += chunk));
          response.once("error", reject);
          response.once("end", () => {
            const code = response.statusCode ?? 0;
            const good = expect === undefined ? code >= 200 && code < 300 : expect.includes(code);
            if (good) resolve(text);
            else reject(new Error(`${method} ${target.pathname}: ${code} ${text.slice(0, 200)}`));
          });
        });
        sent.once("error", reject);
        sent.end(body);
      }),
    close: () => {
      plain.destroy();
      secured.destroy();
    },
  };
}
