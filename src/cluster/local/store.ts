import { readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { InvalidInput } from "../../errors.ts";
import { listFolder, readTextIfThere, removeLeftovers, temporaryPath, writeFileAtomic } from "../../files.ts";
import type { Logger } from "../../log.ts";
import { ENGINE } from "../engines.ts";
import {
  type ClusterObject,
  type ConfigMap,
  type Deployment,
  labels,
  type ObjectKey,
  type ObjectKind,
  type Secret,
  TENTACLE_KINDS,
} from "../objects.ts";
import { isShared } from "../ownership.ts";
import { parseObject } from "../parse.ts";
import type { Folders } from "./folders.ts";

/** A DNS subdomain, short enough for a file's name. */
const NAME = /^(?=.{1,240}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/;

/** The objects of all enclaves, each a JSON file. */
export interface Store {
  enclaves(): Promise<readonly string[]>;
  /** Names of one kind, sorted. */
  names(enclave: string, kind: ObjectKind): Promise<readonly string[]>;
  /** The file's JSON, whoever wrote it; undefined when there is none. */
  readJson(enclave: string, key: ObjectKey): Promise<unknown>;
  /** Another one as soon as somebody has written the file. */
  version(enclave: string, key: ObjectKey): Promise<string | undefined>;
  readConfigMap(enclave: string, name: string): Promise<ConfigMap | undefined>;
  readSecret(enclave: string, name: string): Promise<Secret | undefined>;
  readDeployment(enclave: string, name: string): Promise<Deployment | undefined>;
  write(object: ClusterObject): Promise<void>;
  remove(enclave: string, key: ObjectKey): Promise<void>;
  /** Removes an object that is as given still; says whether it was. */
  removeIf(object: ClusterObject): Promise<boolean>;
  /** The objects that hold an engine, which no tentacle owns. */
  engines(enclave: string): Promise<readonly ConfigMap[]>;
  /** Removes what processes left of the files that they were writing when they died. */
  sweep(enclave: string): Promise<void>;
}

export function createStore(folders: Folders, log: Logger): Store {
  async function readJson(enclave: string, { kind, name }: ObjectKey): Promise<unknown> {
    const text = await readTextIfThere(folders.object(enclave, kind, checked(name)));
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text);
    } catch {
      // What a machine that lost its power may leave; it holds nothing that could be kept.
      log.warn({ enclave, kind, name }, "passed over an object file that is cut short");
      return undefined;
    }
  }

  async function read(enclave: string, key: ObjectKey): Promise<ClusterObject | undefined> {
    return parseObject(await readJson(enclave, key));
  }

  const store: Store = {
    enclaves: () => listFolder(folders.enclaves),
    async names(enclave, kind) {
      const files = await listFolder(folders.objects(enclave, kind));
      const names = files.filter((file) => file.endsWith(".json")).map((file) => file.slice(0, -5));
      // By name, which is not the order of `a.json` and `a-b.json`.
      return names.sort();
    },
    readJson,
    async version(enclave, { kind, name }) {
      const path = folders.object(enclave, kind, checked(name));
      const found = await stat(path, { bigint: true }).catch(() => undefined);
      return found && `${found.ino} ${found.mtimeNs} ${found.size}`;
    },
    async readConfigMap(enclave, name) {
      const object = await read(enclave, { kind: "ConfigMap", name });
      return object?.kind === "ConfigMap" ? object : undefined;
    },
    async readSecret(enclave, name) {
      const object = await read(enclave, { kind: "Secret", name });
      return object?.kind === "Secret" ? object : undefined;
    },
    async readDeployment(enclave, name) {
      const object = await read(enclave, { kind: "Deployment", name });
      return object?.kind === "Deployment" ? object : undefined;
    },
    async write(object) {
      const { name, namespace } = object.metadata;
      const path = folders.object(namespace, object.kind, checked(name));
      await writeFileAtomic(path, `${JSON.stringify(object, undefined, 2)}\n`);
    },
    async remove(enclave, { kind, name }) {
      await rm(folders.object(enclave, kind, checked(name)), { force: true });
    },
    async removeIf(object) {
      const { kind, metadata } = object;
      const path = folders.object(metadata.namespace, kind, checked(metadata.name));
      const aside = temporaryPath(dirname(path));
      // Aside first: what somebody writes from now on is another file.
      await rename(path, aside);
      if (sameObject(JSON.parse(await readFile(aside, "utf8")), object)) {
        await rm(aside);
        return true;
      }
      await rename(aside, path);
      return false;
    },
    async engines(enclave) {
      const names = await store.names(enclave, "ConfigMap");
      const found = await Promise.all(
        names
          .filter((name) => name.startsWith(`${ENGINE}-`))
          .map((name) => store.readConfigMap(enclave, name)),
      );
      return found
        .filter((object) => object !== undefined)
        .filter((object) => object.metadata.labels?.[labels.name] === ENGINE && isShared(object));
    },
    async sweep(enclave) {
      for (const kind of TENTACLE_KINDS) await removeLeftovers(folders.objects(enclave, kind));
    },
  };
  return store;
}

/** Would writing `object` leave the file as it is? */
export function sameObject(json: unknown, object: ClusterObject): boolean {
  return isDeepStrictEqual(json, asJson(object));
}

/** An object as its file holds it. */
export function asJson(object: ClusterObject): unknown {
  return JSON.parse(JSON.stringify(object));
}

function checked(name: string): string {
  if (NAME.test(name)) return name;
  throw new InvalidInput(`${JSON.stringify(name.slice(0, 80))} is no name of an object`, {
    hint: "Use lower-case letters, digits, '-' and '.', at most 240 of them.",
  });
}
