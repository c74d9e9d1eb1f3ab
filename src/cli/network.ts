import { type TentacularError, Unavailable } from "../errors.ts";

/** A failure between here and the server, told apart from what the server itself answers. */
export interface NetworkFailure {
  error(during: "connect" | "call"): TentacularError;
}

/** The server as the failure's text names it. */
interface Named {
  readonly url: URL;
  /** Found through the state folder: the server of `tntc up` on this machine. */
  readonly local: boolean;
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
  const code = causeCode(error);
  const words = phrases.find(({ codes }) => codes.some((known) => code.startsWith(known)));
  return {
    error: (during) => {
      const gone = local && code === "ECONNREFUSED";
      const lost = during === "call" && !gone;
      return new Unavailable(
        lost
          ? `the connection to ${url.origin} was lost: ${words?.text ?? code}`
          : `the server at ${url.origin} cannot be reached: ${words?.text ?? code}`,
        {
          reason: code.includes("TIMEOUT") || code.includes("TIMEDOUT") ? "timeout" : "unreachable",
          hint: gone
            ? "The server of `tntc up` has ended: start it again with `tntc up`."
            : lost
              ? "The operation may still go on there: look with `tntc list` before you try again."
              : (words?.hint ?? "Check the address and the network: `--server URL` or TNTC_SERVER."),
          cause: error,
        },
      );
    },
  };
}

/** What an HTTP status of 400 or more means to the caller. */
function statusFailure(status: number, { url, local }: Named): NetworkFailure | undefined {
  const error = (message: string, reason: "permission" | "stale_credentials" | "failed", hint: string) => ({
    error: () => new Unavailable(message, { reason, hint }),
  });
  if (status === 401)
    return error(
      `the server at ${url.origin} does not accept the token (HTTP 401)`,
      "stale_credentials",
      local
        ? "Start `tntc up` again: it writes a new token."
        : "Name the file with your token: `--token-file FILE` or TNTC_TOKEN_FILE.",
    );
  if (status === 403)
    return error(
      `the server at ${url.origin} denies access (HTTP 403)`,
      "permission",
      "Ask its operator for access, and use the address under which it is published.",
    );
  if (status >= 500)
    return error(
      `the server at ${url.origin} failed (HTTP ${status})`,
      "failed",
      "Its log has the cause. Try again; if it stays, tell its operator.",
    );
  return undefined;
}

const phrases: readonly {
  readonly codes: readonly string[];
  readonly text: string;
  readonly hint: string;
}[] = [
  {
    codes: ["ECONNREFUSED"],
    text: "nothing listens there",
    hint: "Check that the server runs and that the address is right: `--server URL` or TNTC_SERVER.",
  },
  {
    codes: ["ENOTFOUND", "EAI_AGAIN"],
    text: "its name is not known",
    hint: "Check the host name and your DNS: `--server URL` or TNTC_SERVER.",
  },
  {
    codes: ["ETIMEDOUT", "UND_ERR_CONNECT_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT"],
    text: "no answer in time",
    hint: "A firewall or a proxy may stand between: check the network.",
  },
  {
    codes: ["ECONNRESET", "EPIPE", "UND_ERR_SOCKET"],
    text: "it closed the connection",
    hint: "Try again; behind a proxy, check that it passes event streams.",
  },
  {
    codes: ["CERT_", "ERR_TLS", "DEPTH_ZERO", "SELF_SIGNED", "UNABLE_TO_", "ERR_SSL"],
    text: "its TLS certificate is not trusted",
    hint: "Add its CA: NODE_EXTRA_CA_CERTS=/path/ca.pem. For plain HTTP write http://.",
  },
];

function causeCode(error: unknown): string {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if ("code" in cause && typeof cause.code === "string") return cause.code;
    if (cause instanceof AggregateError && cause.errors.length > 0) return causeCode(cause.errors[0]);
  }
  return "the network failed";
}
