import { type TentacularError, Unavailable } from "../errors.ts";

type Options = ConstructorParameters<typeof Unavailable>[1];

/** The server was not reached, or the connection was lost: nobody there refused anything. */
export class NoConnection extends Unavailable {}

/** The connection was lost while a call was under way: it may have reached the server, and may still go on there. */
export class ConnectionLost extends NoConnection {}

/** The server was reached and does not know the caller, or does not let it. */
export class AccessDenied extends Unavailable {
  constructor(message: string, options: Omit<Options, "reason">) {
    super(message, { ...options, reason: "permission" });
  }
}

/** A failure between here and the server, told apart from what the server itself answers. */
export interface NetworkFailure {
  error(during: "connect" | "call"): TentacularError;
}

/** The server as the failure's text names it. */
interface Named {
  readonly url: URL;
  /** Found through the state folder: the server of `tntc up` on this machine. */
  readonly local: boolean;
  /** Where the token comes from. */
  readonly token: TokenKind;
}

/** A `fetch` that remembers what went wrong on the way, whatever its caller makes of it. */
export function watchNetwork(target: Named) {
  let last: NetworkFailure | undefined;
  return {
    failure: () => last,
    forget: () => {
      last = undefined;
    },
    fetch: async (url: string | URL, init?: RequestInit): Promise<Response> => {
      try {
        const response = await fetch(url, init);
        if (response.status >= 400) last = statusFailure(response.status, target);
        return response;
      } catch (error) {
        if (init?.signal?.aborted !== true) last = networkFailure(error, target);
        throw error;
      }
    },
  };
}

/** Why no HTTP answer came, from what `fetch` threw. */
function networkFailure(error: unknown, { url, local }: Named): NetworkFailure {
  const code = causeCode(error) ?? "the network failed";
  const words = phraseOf(code);
  return {
    error: (during) => {
      const gone = local && code === "ECONNREFUSED";
      // Refused or untrusted, the call never reached the server: nothing goes on there.
      const lost = during === "call" && words?.before !== true;
      return new (lost ? ConnectionLost : NoConnection)(
        lost
          ? `the connection to ${url.origin} was lost: ${words?.text ?? code}`
          : `the server at ${url.origin} cannot be reached: ${words?.text ?? code}`,
        {
          reason: code.includes("TIMEOUT") || code.includes("TIMEDOUT") ? "timeout" : "unreachable",
          hint: gone
            ? "The server of `tntc up` has ended: start it again with `tntc up`."
            : lost
              ? "The operation may still go on there: look with `tntc list` before you try again."
              : (words?.hint ??
                "Check the address and the network: `tntc env list` shows which server is meant."),
          cause: error,
        },
      );
    },
  };
}

/** `given`: just now, to be stored if the server takes it. */
export type TokenKind = "none" | "file" | "login" | "given";

/** What an HTTP status of 400 or more means to the caller. */
function statusFailure(status: number, { url, local, token }: Named): NetworkFailure | undefined {
  const failure = (error: TentacularError): NetworkFailure => ({ error: () => error });
  if (status === 401)
    return failure(
      new AccessDenied(
        token === "none"
          ? `the server at ${url.origin} wants to know who calls (HTTP 401)`
          : `the server at ${url.origin} does not accept the ${token === "login" ? "login" : "token"} (HTTP 401)`,
        {
          hint: local
            ? "Start `tntc up` again: it writes a new token."
            : token === "file"
              ? "Name the file with your token (`--token-file FILE`, TNTC_TOKEN_FILE), or log in instead: `tntc login`."
              : token === "given"
                ? "Nothing was stored. Ask its operator for a token that it knows."
                : "Log in: `tntc login`.",
        },
      ),
    );
  if (status === 403)
    return failure(
      new AccessDenied(`the server at ${url.origin} denies access (HTTP 403)`, {
        hint: "`tntc whoami` shows who you are there. Ask its operator for access, and use the address under which it is published.",
      }),
    );
  if (status === 404)
    return failure(
      new Unavailable(
        `${url.href} is not there: an HTTP server answers, but serves no MCP at this path (HTTP 404)`,
        {
          reason: "failed",
          hint: "Check the path of the address, usually /mcp: `tntc env list` shows which is meant.",
        },
      ),
    );
  if (status === 429)
    return failure(
      new Unavailable(`the server at ${url.origin} is asked too often (HTTP 429)`, {
        reason: "failed",
        hint: "Wait a minute, then try again.",
      }),
    );
  if (status >= 500)
    return failure(
      new Unavailable(`the server at ${url.origin} failed (HTTP ${status})`, {
        reason: "failed",
        hint: "Its log has the cause. Try again; if it stays, tell its operator.",
      }),
    );
  return undefined;
}

interface Phrase {
  readonly codes: readonly string[];
  readonly text: string;
  readonly hint: string;
  /** It failed before anything was sent. */
  readonly before: boolean;
}

const phrases: readonly Phrase[] = [
  {
    codes: ["ECONNREFUSED"],
    text: "nothing listens there",
    hint: "Check that the server runs and that the address is right: `tntc env list` shows which is meant.",
    before: true,
  },
  {
    codes: ["ENOTFOUND", "EAI_AGAIN"],
    text: "its name is not known",
    hint: "Check the host name and your DNS: `tntc env list` shows which server is meant.",
    before: true,
  },
  {
    codes: ["EHOSTUNREACH", "ENETUNREACH", "ENETDOWN", "EHOSTDOWN"],
    text: "there is no way to it",
    hint: "Check your network, a VPN perhaps.",
    before: true,
  },
  {
    codes: ["UND_ERR_CONNECT_TIMEOUT"],
    text: "no answer in time",
    hint: "A firewall or a proxy may stand between: check the network.",
    before: true,
  },
  {
    codes: ["ETIMEDOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"],
    text: "no answer in time",
    hint: "A firewall or a proxy may stand between: check the network.",
    before: false,
  },
  {
    codes: ["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"],
    text: "it closed the connection",
    hint: "Try again. Check whether the address begins with http: where the server speaks https; behind a proxy, that it passes event streams.",
    before: false,
  },
  {
    codes: ["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"],
    text: "its TLS certificate is not valid today",
    hint: "Check this machine's clock, then tell the server's operator.",
    before: true,
  },
  {
    codes: ["ERR_TLS_CERT_ALTNAME_INVALID"],
    text: "its TLS certificate is for another name",
    hint: "Use the address under which the server is published.",
    before: true,
  },
  {
    codes: ["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG", "EPROTO"],
    text: "it does not speak TLS",
    hint: "For plain HTTP write http:// in its address.",
    before: true,
  },
  {
    codes: ["CERT_", "ERR_TLS", "DEPTH_ZERO", "SELF_SIGNED", "UNABLE_TO_", "ERR_SSL"],
    text: "its TLS certificate comes from an authority that is not trusted here",
    hint: "Name its authority: `--ca FILE`, TNTC_CA, or `ca` of the environment.",
    before: true,
  },
];

/** Why nobody was reached, from what `fetch` threw; undefined when it was something else. */
export function reasonOf(error: unknown): { readonly text: string; readonly hint: string } | undefined {
  const code = causeCode(error);
  return code === undefined ? undefined : phraseOf(code);
}

function phraseOf(code: string): Phrase | undefined {
  return phrases.find(({ codes }) => codes.some((known) => code.startsWith(known)));
}

function causeCode(error: unknown): string | undefined {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string" && phraseOf(cause.code) !== undefined)
      return cause.code;
    if (cause instanceof AggregateError && cause.errors.length > 0) return causeCode(cause.errors[0]);
  }
  return undefined;
}
