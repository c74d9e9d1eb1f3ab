/** The part of Deno that the engine uses, typed here so that the rest of the project needs no Deno types. */
interface DenoApi {
  readonly args: readonly string[];
  serve(
    options: {
      readonly hostname: string;
      readonly port: number;
      readonly onListen: () => void;
      readonly onError: (error: unknown) => Response;
    },
    handler: (request: Request) => Promise<Response>,
  ): { shutdown(): Promise<void> };
  readTextFileSync(path: string): string;
  addSignalListener(signal: "SIGTERM" | "SIGINT", listener: () => void): void;
  createHttpClient(options: { readonly caCerts: readonly string[] }): HttpClient;
  readonly exit: (code: number) => never;
  inspect(value: unknown, options?: { readonly depth?: number; readonly breakLength?: number }): string;
}

/** What nobody waited for. */
interface StrayEvent {
  readonly reason?: unknown;
  readonly error?: unknown;
  preventDefault(): void;
}

/** Connections with their own trust; goes into the `client` of a fetch. */
export interface HttpClient {
  close(): void;
}

declare const Deno: DenoApi;
declare function addEventListener(
  type: "unhandledrejection" | "error",
  listener: (event: StrayEvent) => void,
): void;

export const deno: DenoApi = Deno;

/** Calls `report` with each rejected promise that nobody handles and each error thrown by a timer, and lets the process live on. */
export function catchStrays(report: (error: unknown) => void): void {
  for (const type of ["unhandledrejection", "error"] as const)
    addEventListener(type, (event) => {
      event.preventDefault();
      report(event.reason ?? event.error);
    });
}

/** `fetch` as Deno extends it. */
export type DenoFetch = (
  input: Request | URL,
  init?: RequestInit & { readonly client?: HttpClient },
) => Promise<Response>;
