import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/** Files of a server certificate for 127.0.0.1 that is its own authority. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly pem: string;
}

/** Makes a certificate in `folder` with the openssl program; undefined where there is none. */
export async function createCertificate(folder: string, name: string): Promise<Certificate | undefined> {
  const certFile = join(folder, `${name}.crt`);
  const keyFile = join(folder, `${name}.key`);
  try {
    await promisify(execFile)("openssl", [
      ...[
        "req",
        "-x509",
        "-nodes",
        "-days",
        "2",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
      ],
      ...["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"],
      ...["-keyout", keyFile, "-out", certFile],
    ]);
  } catch {
    return undefined;
  }
  return { certFile, keyFile, pem: await readFile(certFile, "utf8") };
}
