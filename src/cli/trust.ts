import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { InvalidInput } from "../errors.ts";

/** Has this process trust the authorities in a PEM file, beside those that Node knows. */
export async function trustAuthority(path: string): Promise<void> {
  let pem: string;
  try {
    pem = await readFile(path, "utf8");
    new X509Certificate(pem);
  } catch (cause) {
    throw new InvalidInput(`the CA file ${path} cannot be read as PEM`, {
      hint: "Check the path: `--ca FILE`, TNTC_CA, or `ca` of the environment.",
      cause,
    });
  }
  setDefaultCACertificates([...getCACertificates("default"), pem]);
}
