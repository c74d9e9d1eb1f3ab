import { InvalidInput } from "../../errors.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import { type Found, findServer } from "../find-server.ts";
import type { CommandIo } from "../io.ts";
import { createLogins, type Login } from "../login/logins.ts";
import { protectedResource } from "../login/resource.ts";
import { writeError } from "../output.ts";
import { askSecret, canAsk, readStdin } from "../prompt.ts";
import { plain } from "../text.ts";
import { trustAuthority } from "../trust.ts";
import { askWho, renderCaller } from "../who.ts";

/** The public client that an operator registers at the issuer for this program. */
const DEFAULT_CLIENT = "tntc";

export interface LoginOptions {
  readonly tokenStdin?: boolean;
  readonly clientId?: string;
}

/** Stores what the server takes as proof of who calls: an issuer's tokens, or a token that a person has. */
export async function login(options: LoginOptions, io: CommandIo): Promise<ExitCode> {
  const { server, found } = await remoteServer(io);
  const got =
    options.tokenStdin === true
      ? tokenLogin(server, await readStdin())
      : await interactive(found.url, server, options.clientId ?? DEFAULT_CLIENT, io);
  const token = {
    what: got.kind === "token" ? "given" : "login",
    token: () => Promise.resolve(got.token),
  } as const;
  // What the server does not take is not stored.
  const caller = await askWho({ ...found, token }, io.signal);
  await createLogins(io.config.stateDir).write(got);
  await io.output.result({ server, ...caller }, () =>
    [`${io.output.style.green("Logged in")} at ${server}`, ...renderCaller(caller)].join("\n"),
  );
  if (found.token.what === "file")
    io.output.warn("a token file is named for this server and is used instead of the login");
  return exitCodes.ok;
}

/** Shows the caller as the server sees it. */
export async function whoami(_options: object, io: CommandIo): Promise<ExitCode> {
  const target = io.target();
  if (target.ca !== undefined) await trustAuthority(target.ca);
  const found = await findServer({ target, stateDir: io.config.stateDir, signal: io.signal });
  const caller = await askWho(found, io.signal);
  await io.output.result({ server: found.url.href, ...caller }, () =>
    [...renderCaller(caller), `Server ${found.url.href}`].join("\n"),
  );
  return exitCodes.ok;
}

/** Forgets the login for the server, and has its issuer end it where that can be asked for. */
export async function logout(_options: object, io: CommandIo): Promise<ExitCode> {
  const { server } = await remoteServer(io);
  const logins = createLogins(io.config.stateDir);
  const kept = await logins.read(server);
  // First here: what comes after depends on the network.
  await logins.remove(server);
  if (kept?.kind === "oauth") await revoke(kept, io);
  await io.output.result({ server, removed: kept !== undefined }, () =>
    kept === undefined ? `Nobody was logged in at ${server}.` : `Logged out from ${server}.`,
  );
  return exitCodes.ok;
}

async function revoke(kept: Extract<Login, { kind: "oauth" }>, io: CommandIo): Promise<void> {
  const { revokeLogin } = await import("../login/oauth.ts");
  const ended = await revokeLogin(kept, io.signal).catch(() => false);
  if (!ended)
    io.output.warn(
      `${kept.issuer} was not told: what it gave ends there by itself, or in your account there`,
    );
}

async function interactive(url: URL, server: string, clientId: string, io: CommandIo): Promise<Login> {
  const found = await protectedResource(url);
  const [issuer] = found?.issuers ?? [];
  if (found !== undefined && issuer !== undefined) {
    const { deviceLogin } = await import("../login/oauth.ts");
    return deviceLogin({
      ...{ server, issuer, clientId, resource: found.resource, scopes: found.scopes, signal: io.signal },
      onCode: ({ uri, completeUri, code }) => {
        // In every format: without it there is no login.
        writeError(
          `Open ${plain(uri)} in a browser and enter the code ${io.output.noteStyle.bold(plain(code))}\n` +
            (completeUri === undefined ? "" : `or open ${plain(completeUri)}\n`) +
            "Waiting for you to confirm there …\n",
        );
      },
    });
  }
  if (!canAsk())
    throw new InvalidInput(
      `the server at ${url.origin} names no issuer to log in at, and nobody is here to be asked`,
      {
        hint: "Ask its operator for a token, and give it on stdin: `tntc login --token-stdin < token`.",
      },
    );
  io.output.note(`${url.origin} names no issuer to log in at; its operator gives out tokens.`);
  return tokenLogin(server, await askSecret("Token: ", io.signal));
}

function tokenLogin(server: string, text: string): Login {
  const token = text.trim();
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new InvalidInput(
      token === "" ? "there is no token on stdin" : "the token has characters that no token has",
      {
        hint: "Give the token alone, on one line.",
      },
    );
  return { kind: "token", server, token };
}

/** The server that is meant, which must be another than that of `tntc up`. */
async function remoteServer(io: CommandIo): Promise<{ readonly server: string; readonly found: Found }> {
  const target = io.target();
  if (target.server === undefined)
    throw new InvalidInput("the server of `tntc up` on this machine needs no login", {
      hint: "Name another: `--env NAME` or `--server URL`; `tntc env list` shows those with a name.",
    });
  if (target.ca !== undefined) await trustAuthority(target.ca);
  const found = await findServer({ target, stateDir: io.config.stateDir, signal: io.signal });
  return { server: found.url.href, found };
}
