import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
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

/** A certificate for 127.0.0.1, and the authority that signed it, as an operator has them. */
export interface SignedCertificate {
  readonly cert: string;
  readonly key: string;
  readonly authority: string;
}

/** Makes an authority in `folder`, and a certificate that it signs; undefined where there is no openssl program. */
export async function createSignedCertificate(folder: string): Promise<SignedCertificate | undefined> {
  const authority = await createCertificate(folder, "authority");
  if (authority === undefined) return undefined;
  const at = (name: string) => join(folder, `signed.${name}`);
  const openssl = (...args: string[]) => promisify(execFile)("openssl", args);
  await writeFile(at("ext"), "subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n");
  await openssl(
    "req",
    "-new",
    "-nodes",
    "-newkey",
    "rsa:2048",
    "-subj",
    "/CN=signed",
    "-keyout",
    at("key"),
    "-out",
    at("csr"),
  );
  const { certFile, keyFile, pem } = authority;
  const signing = [
    "-CA",
    certFile,
    "-CAkey",
    keyFile,
    "-set_serial",
    "2",
    "-days",
    "2",
    "-extfile",
    at("ext"),
  ];
  await openssl("x509", "-req", "-in", at("csr"), ...signing, "-out", at("crt"));
  return { cert: await readFile(at("crt"), "utf8"), key: await readFile(at("key"), "utf8"), authority: pem };
}
