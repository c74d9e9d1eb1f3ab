import { fileURLToPath } from "node:url";

/** This module is in `src/`, or in a file of `dist/src/` that holds it and others: the package's folder is above either. */
const root = new URL(import.meta.url.endsWith(".ts") ? "../" : "../../", import.meta.url);

/** The path of a file that the package carries, from source and as installed alike. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(path, root));
}

/** The program itself, for whoever starts it anew. */
export function programFile(): string {
  return packageFile(import.meta.url.endsWith(".ts") ? "src/main.ts" : "dist/src/main.js");
}
