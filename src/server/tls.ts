import { X509Certificate, createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { InvalidInput } from "../errors.ts";

/** Files with PEM text; what changes in them counts for the next connection. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** What a server shows of itself. */
export interface Tls {
  /** The certificate, and those that lead from it to an authority. */
  readonly cert: string;
  readonly key: string;
}

/** Reads a certificate and its key, and refuses two that do not belong together. */
export function readTls({ certFile, keyFile }: TlsFiles): Tls {
  const tls = { cert: read(certFile), key: read(keyFile) };
  const certificate = understood(certFile, "a certificate", () => new X509Certificate(tls.cert));
  const key = understood(keyFile, "a private key without a password", () => createPrivateKey(tls.key));
  if (certificate.checkPrivateKey(key)) return tls;
  throw new InvalidInput(`the key in ${keyFile} is not that of the certificate in ${certFile}`, {
    hint: "Put both of the same certificate there.",
  });
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new InvalidInput(`${file} cannot be read`, { hint: "Check the path and its permissions.", cause });
  }
}

function understood<T>(file: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch {
    // The reason of the library is left out: the text is a key.
    throw new InvalidInput(`${file} holds no PEM text of ${what}`, {
      hint: "It begins with a line -----BEGIN …-----.",
    });
  }
}
