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
}

/** Connections with their own trust; goes into the `client` of a fetch. */
export interface HttpClient {
  close(): void;
}

declare const Deno: DenoApi;

export const deno: DenoApi = Deno;

/** `fetch` as Deno extends it. */
export type DenoFetch = (
  input: Request | URL,
  init?: RequestInit & { readonly client?: HttpClient },
) => Promise<Response>;
