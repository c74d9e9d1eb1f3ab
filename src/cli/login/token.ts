import { readFile } from "node:fs/promises";
import { InvalidInput } from "../../errors.ts";
import { AccessDenied, NoConnection, type TokenKind } from "../network.ts";
import type { Login, OAuthLogin } from "./logins.ts";

/** Where the token of a call comes from; `what` names it for people. */
export interface TokenSource {
  readonly what: TokenKind;
  token(): Promise<string | undefined>;
}

/** Refreshed this long before its end, so that none ends on the way. */
const MARGIN_MS = 30_000;

export const noToken: TokenSource = { what: "none", token: () => Promise.resolve(undefined) };

/** The token that a file holds. */
export async function tokenOfFile(path: string): Promise<TokenSource> {
  let token: string;
  try {
    token = (await readFile(path, "utf8")).trim();
  } catch (error) {
    throw new InvalidInput(`the token file ${path} cannot be read`, {
      hint: "Check the path and its permissions: `--token-file FILE`, TNTC_TOKEN_FILE or `token_file` of the environment.",
      cause: error,
    });
  }
  return { what: "file", token: () => Promise.resolve(token) };
}

/** The token that `tntc login` has stored for a server, refreshed when its time is over; none where nobody logged in. */
export async function tokenOfLogin(
  server: string,
  stateDir: string,
  signal: AbortSignal,
): Promise<TokenSource> {
  const { createLogins } = await import("./logins.ts");
  const logins = createLogins(stateDir);
  let login = await logins.read(server);
  if (login === undefined) return noToken;
  return {
    what: "login",
    async token() {
      if (login !== undefined && isOver(login)) login = await logins.alone(server, signal, renewed);
      return login?.token;
    },
  };

  async function renewed(): Promise<Login | undefined> {
    // Another process may just have done it, or logged out.
    const now = await logins.read(server);
    if (now === undefined || !isOver(now)) return now;
    if (now.refreshToken === undefined)
      throw new AccessDenied(`the login at ${server} has ended`, { hint: "Log in again: `tntc login`." });
    const { refreshLogin } = await import("./oauth.ts");
    try {
      const next = await refreshLogin(now, signal);
      await logins.write(next);
      return next;
    } catch (error) {
      // It still holds for a moment, and that may be enough.
      if (error instanceof NoConnection && Date.parse(now.expiresAt ?? "") > Date.now()) return now;
      throw error;
    }
  }
}

function isOver(login: Login): login is OAuthLogin {
  if (login.kind === "token" || login.expiresAt === undefined) return false;
  return Date.parse(login.expiresAt) - MARGIN_MS < Date.now();
}
