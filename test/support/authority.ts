import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const openssl = async (...args: readonly string[]): Promise<void> => {
  await promisify(execFile)("openssl", args);
};

export interface SignedCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/** An authority that signs certificates with any names, as SPIRE does. */
export interface Authority {
  readonly caFile: string;
  readonly ca: string;
  /** `names` as openssl writes them: `URI:spiffe://…,DNS:admin`. */
  issue(name: string, names: string): Promise<SignedCertificate>;
}

/** Makes an authority in `folder` with the openssl program; undefined where there is none. */
export async function createAuthority(folder: string): Promise<Authority | undefined> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const file = (name: string): string => join(folder, name);
  try {
    await openssl(
      ...["req", "-x509", "-days", "2", ...key, "-subj", "/CN=authority"],
      ...["-keyout", file("ca.key"), "-out", file("ca.crt")],
    );
  } catch {
    return undefined;
  }
  return {
    caFile: file("ca.crt"),
    ca: await readFile(file("ca.crt"), "utf8"),
    async issue(name, names) {
      const [certFile, keyFile, csr, extensions] = ["crt", "key", "csr", "ext"].map((end) =>
        file(`${name}.${end}`),
      );
      if (certFile === undefined || keyFile === undefined || csr === undefined || extensions === undefined)
        throw new TypeError("no file names");
      await writeFile(extensions, `subjectAltName=${names}\n`);
      await openssl("req", "-new", ...key, "-subj", `/O=${name}`, "-keyout", keyFile, "-out", csr);
      await openssl(
        ...["x509", "-req", "-days", "2", "-in", csr, "-CA", file("ca.crt"), "-CAkey", file("ca.key")],
        ...["-CAcreateserial", "-extfile", extensions, "-out", certFile],
      );
      return {
        certFile,
        keyFile,
        cert: await readFile(certFile, "utf8"),
        key: await readFile(keyFile, "utf8"),
      };
    },
  };
}
