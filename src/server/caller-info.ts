import type { AuthInfo } from "@modelcontextprotocol/server";
import { Caller } from "../callers/caller.ts";

/** A caller as the protocol library carries it. Without its token: what nobody has, nobody passes on. */
export function callerInfo(caller: Caller): AuthInfo {
  return { token: "", clientId: caller.name, scopes: [], extra: { caller } };
}

/** The caller of a request; a request that carries somebody unknown is not served. */
export function callerIn({ extra }: AuthInfo): Caller {
  if (extra?.caller instanceof Caller) return extra.caller;
  throw new Error("a request without its caller");
}
