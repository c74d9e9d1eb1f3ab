import { Writable } from "node:stream";

/**
 * Takes stdout for the protocol: the stream returned is from now on the only way to it, and whatever else this process
 * or a dependency prints there (console.log included) goes to stderr. Call it before anything else is loaded.
 */
export function takeStdout(): Writable {
  const write = process.stdout.write.bind(process.stdout);
  const protocol = new Writable({
    decodeStrings: false,
    write: (chunk: string | Uint8Array, _encoding, done) => void write(chunk, done),
  });
  // A client that has gone closes the pipe: the protocol's stream must hear of it.
  process.stdout.on("error", (error: Error) => protocol.destroy(error));
  process.stdout.write = process.stderr.write.bind(process.stderr);
  return protocol;
}
