/** What a caller may send, in bytes. */
export const MAX_BODY = 1024 * 1024;

/** The whole body as it was sent; undefined when it has more than `MAX_BODY` bytes. */
export async function readBody(request: Request): Promise<Buffer | undefined> {
  if (Number(request.headers.get("content-length") ?? 0) > MAX_BODY) return undefined;
  if (request.body === null) return Buffer.alloc(0);
  const chunks: Uint8Array[] = [];
  let size = 0;
  const stream: ReadableStream<unknown> = request.body;
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array)) continue;
    size += chunk.length;
    if (size > MAX_BODY) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
