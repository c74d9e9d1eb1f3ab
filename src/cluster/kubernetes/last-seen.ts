import { createHash } from "node:crypto";
import { canonicalJson } from "../../canonical-json.ts";
import type { ClusterObject } from "../objects.ts";
import type { LiveObject } from "./objects.ts";

/** More objects than the tentacles that one server is at work on at the same time have. */
const CAPACITY = 5_000;

/** An object as this server last saw it: checked to be ours, or not there. */
export type Seen =
  | { readonly there: false }
  | {
      readonly there: true;
      readonly uid: string;
      readonly resourceVersion: string;
      /** Of an object that was as asked for: what was asked for, and what `versionOf` said of it. */
      readonly settled?: Settled;
    };

export interface Settled {
  /** See `contentOf`. */
  readonly wanted: string;
  readonly version: string;
}

/**
 * What this server saw last of each object, by its path. It only spares questions: every write names what it is meant for, uid
 * and version, so what was seen and is no longer true costs another try and can hit nothing else.
 */
export interface LastSeen {
  get(path: string): Seen | undefined;
  /** `live` is this tentacle's, or there is none. */
  note(path: string, live: Pick<LiveObject, "metadata"> | undefined, settled?: Settled): void;
  forget(path: string): void;
}

/** Does it never change once it is there? Such a one is named by its content. */
export function isImmutable(object: ClusterObject): boolean {
  return object.kind === "ConfigMap" && object.immutable === true;
}

export function createLastSeen(): LastSeen {
  const seen = new Map<string, Seen>();
  return {
    get: (path) => seen.get(path),
    note(path, live, settled) {
      // Last in order: the first one is then the one that was not seen for longest.
      seen.delete(path);
      const { uid, resourceVersion } = live?.metadata ?? {};
      seen.set(
        path,
        uid === undefined || resourceVersion === undefined
          ? { there: false }
          : { there: true, uid, resourceVersion, ...(settled !== undefined && { settled }) },
      );
      const [oldest] = seen.keys();
      if (seen.size > CAPACITY && oldest !== undefined) seen.delete(oldest);
    },
    forget: (path) => void seen.delete(path),
  };
}

/** Equal for objects that ask for the same. */
export function contentOf(object: ClusterObject): string {
  if (isImmutable(object)) return object.metadata.name;
  return createHash("sha256").update(canonicalJson(object)).digest("base64");
}
