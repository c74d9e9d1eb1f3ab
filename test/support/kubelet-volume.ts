import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** A Secret or ConfigMap as the kubelet mounts it: each file is a link through the link `..data`, which alone is replaced. */
export interface KubeletVolume {
  readonly path: string;
  /** All files at once are others from here on. */
  update(files: Readonly<Record<string, string>>): Promise<void>;
}

/** Makes such a folder (kubernetes, pkg/volume/util/atomic_writer.go). */
export async function mountAsKubelet(
  path: string,
  files: Readonly<Record<string, string>>,
): Promise<KubeletVolume> {
  let version = 0;
  async function update(changed: Readonly<Record<string, string>>): Promise<void> {
    const before = version > 0 ? `..${version}` : undefined;
    version += 1;
    const now = `..${version}`;
    await mkdir(join(path, now), { recursive: true });
    for (const [name, text] of Object.entries(changed)) await writeFile(join(path, now, name), text);
    await symlink(now, join(path, "..data_tmp"));
    await rename(join(path, "..data_tmp"), join(path, "..data"));
    if (before !== undefined) await rm(join(path, before), { recursive: true });
  }
  await update(files);
  for (const name of Object.keys(files)) await symlink(join("..data", name), join(path, name));
  return { path, update };
}
