import { Socket } from "node:net";

/** Told when something that changes a service is about to leave this process, and when the answer to it comes. */
export type WireObserver = (edge: "before" | "after", what: string) => void;

/**
 * Looks at all that this process sends, below every client library: so what a registrar or an adapter learns to do is
 * seen without a word in its code.
 */
export function watchWire(observer: WireObserver): void {
  const awaited = new WeakMap<Socket, string>();

  instead("write", (socket, [chunk]) => {
    const what = changeIn(chunk);
    if (what === undefined) return;
    awaited.set(socket, what);
    observer("before", what);
  });
  instead("push", (socket) => {
    const what = awaited.get(socket);
    if (what === undefined) return;
    awaited.delete(socket);
    observer("after", what);
  });
}

/** Has `look` called before every call of a method of every socket. */
function instead(method: "write" | "push", look: (socket: Socket, args: readonly unknown[]) => void): void {
  const original: unknown = Reflect.get(Socket.prototype, method);
  if (typeof original !== "function") throw new Error(`sockets have no ${method}`);
  const handler: ProxyHandler<typeof original> = {
    apply(target, socket, args: readonly unknown[]): unknown {
      if (socket instanceof Socket) look(socket, args);
      return Reflect.apply(target, socket, args);
    },
  };
  const value = new Proxy(original, handler);
  Object.defineProperty(Socket.prototype, method, { configurable: true, writable: true, value });
}

/** What a message changes, in words without names; undefined when it changes nothing. */
function changeIn(chunk: unknown): string | undefined {
  const text =
    typeof chunk === "string"
      ? chunk
      : chunk instanceof Uint8Array
        ? Buffer.from(chunk).toString("latin1")
        : "";
  if (text.includes("COMMIT")) return "postgres COMMIT";
  const subject = /^H?PUB \$(SYS\.REQ\.CLAIMS\.(?:UPDATE|DELETE)|JS\.API\.\w+\.DELETE)/m.exec(text)?.[1];
  if (subject !== undefined) return `nats ${subject}`;
  const [, method, path] = /^(PUT|POST|PATCH|DELETE) (\S+) HTTP/.exec(text) ?? [];
  return method === undefined || path === undefined ? undefined : requestIn(method, path);
}

/** Of which kind of request of an upload in parts a path is, where it is one. */
function partOf(path: string): string {
  if (path.includes("uploads")) return "'s upload";
  return path.includes("partNumber") ? "'s part" : path.includes("uploadId") ? "'s upload" : "";
}

function requestIn(method: string, path: string): string | undefined {
  const action = /^\/rustfs\/admin\/v3\/([\w-]+)/.exec(path)?.[1];
  if (action !== undefined) return `rustfs ${action}`;
  if (path.includes("/.tentacular/")) return `rustfs ${method} of the record`;
  if (path.includes("?delete")) return "rustfs removal of objects";
  if (path.includes("/.tentacular-self-test-")) return `rustfs ${method} of a self-test${partOf(path)}`;
  const [, kind, name = ""] = /^\/apis?\/.*\/namespaces\/[^/]+\/(\w+)(\/[\w-]+)?/.exec(path) ?? [];
  // A lock is renewed whenever its time has come; a dry run changes nothing.
  if (kind === undefined || kind === "leases" || path.includes("dryRun=All")) return undefined;
  return `${method} of ${kind}${name.replace(/k-[0-9a-f]{8}/, "NAME")}`;
}
