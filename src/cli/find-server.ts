import { InvalidInput } from "../errors.ts";
import type { Target } from "./environments/target.ts";
import { tokenOfFile, tokenOfLogin, type TokenSource } from "./login/token.ts";
import { NoConnection } from "./network.ts";

/** Which server to talk to: a named one, or that of `tntc up` on this machine. */
export interface ServerOptions {
  readonly target: Pick<Target, "server" | "tokenFile" | "ca">;
  /** Where `tntc up` says that it runs. */
  readonly stateDir: string;
  readonly signal: AbortSignal;
}

/** A server that was found, and the token for it. */
export interface Found {
  readonly url: URL;
  readonly token: TokenSource;
  /** Found through the state folder: the server of `tntc up` on this machine. */
  readonly local: boolean;
}

/** Finds the server that is meant, without calling it. */
export async function findServer({
  target: { server, tokenFile },
  stateDir,
  signal,
}: ServerOptions): Promise<Found> {
  if (server !== undefined) {
    const url = serverUrl(server);
    const token =
      tokenFile === undefined ? await tokenOfLogin(url.href, stateDir, signal) : await tokenOfFile(tokenFile);
    return { url, local: false, token };
  }
  const { readHost } = await import("../embedded/host.ts");
  const host = await readHost(stateDir);
  if (host === undefined)
    throw new NoConnection("no Tentacular server is running on this machine", {
      reason: "unreachable",
      hint: "Start one in another terminal with `tntc up`, or name one: `--env NAME` (`tntc env add` makes it) or `--server URL` (TNTC_SERVER).",
    });
  return { url: new URL(host.url), token: await tokenOfFile(tokenFile ?? host.tokenFile), local: true };
}

/** An address as a user writes it, with the path that is meant. */
export function serverUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new InvalidInput(`the server address ${JSON.stringify(text)} is no http or https URL`, {
      hint: "Write it with scheme and path, for instance https://tentacular.example.com/mcp.",
    });
  if (url.pathname === "/") url.pathname = "/mcp";
  return url;
}
