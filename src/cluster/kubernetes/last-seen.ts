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
      /** It had just the content that was asked for. */
      readonly settled: boolean;
    };

/**
 * What this server saw last of each object, by its path. It only spares questions: every write names what it is meant for, uid
 * and version, so what was seen and is no longer true costs another try and can hit nothing else.
 */
export interface LastSeen {
  get(path: string): Seen | undefined;
  /** `live` is this tentacle's, or there is none. */
  note(path: string, live: Pick<LiveObject, "metadata"> | undefined, settled?: boolean): void;
  forget(path: string): void;
}

export function createLastSeen(): LastSeen {
  const seen = new Map<string, Seen>();
  return {
    get: (path) => seen.get(path),
    note(path, live, settled = false) {
      // Last in order: the first one is then the one that was not seen for longest.
      seen.delete(path);
      const { uid, resourceVersion } = live?.metadata ?? {};
      seen.set(
        path,
        uid === undefined || resourceVersion === undefined
          ? { there: false }
          : { there: true, uid, resourceVersion, settled },
      );
      const [oldest] = seen.keys();
      if (seen.size > CAPACITY && oldest !== undefined) seen.delete(oldest);
    },
    forget: (path) => void seen.delete(path),
  };
}
