import { z } from "zod";
import type { ServiceBackend, ServiceRef } from "../../tentacle/cluster-host.ts";
import type { Api } from "./api.ts";
import { object } from "./paths.ts";

const serviceSchema = z.looseObject({
  spec: z.looseObject({
    type: z.string().default("ClusterIP"),
    clusterIP: z.string().optional(),
    selector: z.record(z.string(), z.string()).default({}),
    ports: z
      .array(
        z.looseObject({
          port: z.number(),
          protocol: z.string().default("TCP"),
          targetPort: z.union([z.number(), z.string()]).optional(),
        }),
      )
      .default([]),
  }),
});

/** The pods behind a Service; undefined when there is no such Service, it picks no pods, or this server may not look. */
export async function readServiceBackend(
  api: Api,
  { namespace, name }: ServiceRef,
  signal: AbortSignal,
): Promise<ServiceBackend | undefined> {
  const place = object("Service", namespace, name);
  const answer = await api.send({ verb: "get", place, allow: [403, 404], signal });
  if (answer.code !== 200) return undefined;
  const { type, clusterIP, selector, ports } = serviceSchema.parse(answer.json).spec;
  if (type === "ExternalName" || Object.keys(selector).length === 0) return undefined;
  return {
    namespace,
    selector,
    headless: clusterIP === "None",
    ports: ports.map(({ port, protocol, targetPort = port }) => ({ port, protocol, targetPort })),
  };
}
