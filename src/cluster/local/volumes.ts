import { createHash } from "node:crypto";
import { chmod, mkdir, readdir, readFile, rm, rmdir } from "node:fs/promises";
import { join, posix } from "node:path";
import { Internal } from "../../errors.ts";
import { isMissing, writeFileAtomic } from "../../files.ts";
import type { Deployment, Volume } from "../objects.ts";
import type { Store } from "./store.ts";

/** What the mounts of a workload hold, by path in the container. */
export interface Mounts {
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Mount paths, none of them below another. */
  readonly roots: readonly string[];
  /** Mount paths of empty folders, whose files are the workload's own. */
  readonly empty: readonly string[];
  /** Changes exactly when a file does. */
  readonly hash: string;
}

/** Reads what the volumes of a Deployment's first container hold, or says what is not there yet. */
export async function readMounts(
  deployment: Deployment,
  store: Store,
): Promise<Mounts | { readonly missing: string }> {
  const enclave = deployment.metadata.namespace;
  const { containers, volumes } = deployment.spec.template.spec;
  const files = new Map<string, Uint8Array>();
  const empty: string[] = [];
  const paths: string[] = [];
  for (const mount of containers[0]?.volumeMounts ?? []) {
    const volume = volumes.find(({ name }) => name === mount.name);
    if (volume === undefined) return { missing: `volume ${mount.name}` };
    const root = posix.normalize(mount.mountPath);
    paths.push(root);
    if ("emptyDir" in volume) empty.push(root);
    const content = await readVolume(volume, enclave, store);
    if (!(content instanceof Map)) return content;
    for (const [path, bytes] of content) files.set(below(root, path), bytes);
  }
  const roots = paths.filter((path) => !paths.some((other) => path !== other && isBelow(path, other)));
  return { files, roots: [...new Set(roots)], empty, hash: hashOf(files) };
}

async function readVolume(
  volume: Volume,
  enclave: string,
  store: Store,
): Promise<Map<string, Uint8Array> | { readonly missing: string }> {
  const files = new Map<string, Uint8Array>();
  if ("configMap" in volume) {
    const { name, items } = volume.configMap;
    const object = await store.readConfigMap(enclave, name);
    if (object === undefined) return { missing: `ConfigMap ${name}` };
    for (const { key, path } of items ?? Object.keys(object.data).map((key) => ({ key, path: key }))) {
      const text = object.data[key];
      if (text === undefined) return { missing: `key ${key} of ConfigMap ${name}` };
      files.set(path, Buffer.from(text));
    }
  } else if ("projected" in volume) {
    for (const { secret } of volume.projected.sources) {
      const object = await store.readSecret(enclave, secret.name);
      if (object === undefined && secret.optional !== true) return { missing: `Secret ${secret.name}` };
      for (const [key, value] of Object.entries(object?.data ?? {}))
        files.set(key, Buffer.from(value, "base64"));
    }
  }
  return files;
}

/**
 * Makes the folders below `folder` hold exactly what the mounts hold: `/app` lies in `<folder>/app`. A file that is
 * the same is not touched, a changed one is replaced whole, so that the running engine may read meanwhile.
 */
export async function writeMounts(folder: string, mounts: Mounts): Promise<void> {
  for (const root of mounts.roots) await prune(join(folder, root), root, mounts);
  for (const path of mounts.empty) await mkdir(join(folder, path), { recursive: true, mode: 0o700 });
  for (const [path, bytes] of mounts.files) {
    const target = join(folder, path);
    if (!(await hasContent(target, bytes))) await writeFileAtomic(target, bytes, { durable: false });
  }
}

async function prune(folder: string, path: string, mounts: Mounts): Promise<void> {
  if (mounts.empty.includes(path)) return;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const inner = posix.join(path, entry.name);
    if (!entry.isDirectory()) {
      if (!mounts.files.has(inner)) await rm(join(folder, entry.name));
    } else {
      await prune(join(folder, entry.name), inner, mounts);
      const wanted =
        mounts.empty.some((other) => isBelow(other, inner)) ||
        [...mounts.files.keys()].some((file) => isBelow(file, inner) && file !== inner);
      if (!wanted) await rmdir(join(folder, entry.name));
    }
  }
}

async function hasContent(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    return (await readFile(path)).equals(bytes);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** A volume's path below its mount; one that leaves it is refused, though everything before should have. */
function below(root: string, path: string): string {
  const full = posix.join(root, path);
  if (isBelow(full, root) && full !== root && !/[\\\0]/.test(path)) return full;
  throw new Internal(`a volume's file ${JSON.stringify(path)} would lie outside its mount ${root}`, {
    hint: "This is a defect of Tentacular: report it.",
  });
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === "/" ? "/" : `${folder}/`);
}

function hashOf(files: ReadonlyMap<string, Uint8Array>): string {
  const hash = createHash("sha256");
  for (const [path, bytes] of [...files].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${path}\0${bytes.length}\0`).update(bytes);
  return hash.digest("hex");
}
