import {
  type McpServer,
  type ReadResourceResult,
  ResourceNotFoundError,
  ResourceTemplate,
  type ServerContext,
} from "@modelcontextprotocol/server";
import type { CallContext } from "./call-tool.ts";
import { GUIDE } from "./guide.ts";
import type { Completions, Look } from "./look.ts";

const text = { mimeType: "text/plain" } as const;

/** Offers the guide, each enclave and each tentacle to be read, those that the caller's tools show. */
export function registerResources(
  server: McpServer,
  look: Look,
  completions: Completions,
  toCall: (context: ServerContext) => CallContext,
): void {
  if (look.has("deploy"))
    server.registerResource(
      "guide",
      "tentacular://guide",
      {
        title: "How to write a tentacle",
        description: "workflow.yaml, nodes, dependencies, the order of work.",
        mimeType: "text/markdown",
      },
      ({ href }) => ({ contents: [{ uri: href, mimeType: "text/markdown", text: GUIDE }] }),
    );

  if (look.has("enclave_info"))
    server.registerResource(
      "enclave",
      new ResourceTemplate("tentacular://enclaves/{enclave}", {
        complete: { enclave: completions.enclave },
        list: async (context) => ({
          resources: (look.isAwake() ? await look.enclaves(toCall(context)) : []).map((enclave) => ({
            uri: `tentacular://enclaves/${encodeURIComponent(enclave)}`,
            name: enclave,
            title: `Enclave ${enclave}`,
            ...text,
          })),
        }),
      }),
      { title: "An enclave", description: "What enclave_info tells of it.", ...text },
      async ({ href }, { enclave }, context) =>
        contents(href, await look.read("enclave_info", { enclave: one(enclave) }, toCall(context))),
    );

  if (look.has("status"))
    server.registerResource(
      "tentacle",
      new ResourceTemplate("tentacular://enclaves/{enclave}/tentacles/{name}", {
        complete: { enclave: completions.enclave, name: completions.name },
        list: async (context) => ({
          resources: (look.isAwake() ? await look.tentacles(undefined, toCall(context)) : []).map(
            ({ enclave, name }) => ({
              uri: `tentacular://enclaves/${encodeURIComponent(enclave)}/tentacles/${encodeURIComponent(name)}`,
              name: `${enclave}/${name}`,
              title: `Tentacle ${name} in enclave ${enclave}`,
              ...text,
            }),
          ),
        }),
      }),
      { title: "A tentacle", description: "What status with detail tells of it.", ...text },
      async ({ href }, { enclave, name }, context) =>
        contents(
          href,
          await look.read(
            "status",
            { enclave: one(enclave), name: one(name), detail: true },
            toCall(context),
          ),
        ),
    );
}

/** What is not there and what the caller may not see look alike. */
function contents(uri: string, seen: Awaited<ReturnType<Look["read"]>>): ReadResourceResult {
  if (seen?.ok !== true) throw new ResourceNotFoundError(uri, seen?.text);
  return { contents: [{ uri, ...text, text: seen.text }] };
}

function one(variable: string | string[] | undefined): string {
  return decodeURIComponent(typeof variable === "string" ? variable : (variable?.[0] ?? ""));
}
