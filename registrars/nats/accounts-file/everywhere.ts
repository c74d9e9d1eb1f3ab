import { lookup } from "node:dns/promises";
import { explain, type Login, type Reach } from "../connection.ts";
import { tryLogin } from "../try-login.ts";

/**
 * Does every server that the host name stands for let this login in? One that cannot be reached is left out, as long as
 * another can.
 */
export async function acceptedEverywhere(reach: Reach, who: Login, signal: AbortSignal): Promise<boolean> {
  const { host } = reach.address;
  try {
    const found = await lookup(host, { all: true });
    const answers = await Promise.allSettled(
      found.map(({ address }) => tryLogin({ ...reach, via: address }, who, signal)),
    );
    const given = answers.filter((answer) => answer.status === "fulfilled").map(({ value }) => value);
    const failure = answers.find((answer) => answer.status === "rejected");
    if (given.length === 0 && failure !== undefined) throw failure.reason;
    return given.every((answer) => answer === "accepted" || answer === "full");
  } catch (error) {
    signal.throwIfAborted();
    throw explain(error, "logging in to NATS", reach.address);
  }
}
