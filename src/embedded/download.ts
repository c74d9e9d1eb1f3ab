import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Unavailable } from "../errors.ts";

/** No release we fetch is near this; a longer answer is not one. */
const MAX_BYTES = 1024 ** 3;

export interface DownloadOptions {
  /** Gives up when nothing arrives for this long. */
  readonly stallMs: number;
  readonly signal?: AbortSignal;
  /** Told now and then how far it is; `total` is undefined when the server does not say. */
  readonly onBytes?: (received: number, total: number | undefined) => void;
}

/** Fetches `url` into the file `target` and returns the SHA-256 of what arrived, in hex. */
export async function download(url: string, target: string, options: DownloadOptions): Promise<string> {
  return withStallLimit(url, options, async (signal, alive) => {
    const response = await get(url, signal);
    const total = Number(response.headers.get("content-length") ?? Number.NaN);
    const hash = createHash("sha256");
    let received = 0;
    const meter = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        alive();
        received += chunk.length;
        hash.update(chunk);
        options.onBytes?.(received, Number.isNaN(total) ? undefined : total);
        done(received > MAX_BYTES ? new Error("too large") : null, chunk);
      },
    });
    await pipeline(Readable.from(chunks(response)), meter, createWriteStream(target));
    return hash.digest("hex");
  });
}

/** Fetches a small text, such as the list of checksums of a release. */
export async function downloadText(url: string, options: DownloadOptions): Promise<string> {
  return withStallLimit(url, options, async (signal) => (await get(url, signal)).text());
}

async function get(url: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(url, { signal, redirect: "follow" });
  if (response.ok && response.body !== null) return response;
  await response.body?.cancel();
  throw new Unavailable(`${url} answered HTTP ${response.status}`, {
    reason: "failed",
    hint: "Check that this release exists, or fetch it by hand.",
  });
}

async function* chunks(response: Response): AsyncGenerator<Uint8Array> {
  if (response.body !== null) for await (const chunk of response.body) yield chunk;
}

/** Runs `work` with a signal that aborts when `alive` was not called for `stallMs`, and puts failures into our words. */
async function withStallLimit<T>(
  url: string,
  { stallMs, signal }: DownloadOptions,
  work: (signal: AbortSignal, alive: () => void) => Promise<T>,
): Promise<T> {
  const stalled = new AbortController();
  const timer = setTimeout(() => stalled.abort(), stallMs);
  try {
    return await work(signal === undefined ? stalled.signal : AbortSignal.any([stalled.signal, signal]), () =>
      timer.refresh(),
    );
  } catch (error) {
    if (error instanceof Unavailable) throw error;
    if (stalled.signal.aborted)
      throw new Unavailable(`${url} sent nothing for ${stallMs / 1000} s`, {
        reason: "timeout",
        hint: "Try again, or fetch it by hand.",
        cause: error,
      });
    if (signal?.aborted === true) throw error;
    throw new Unavailable(`${url} could not be fetched`, {
      reason: "unreachable",
      hint: "Check the connection to the internet, or fetch it by hand.",
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
}
