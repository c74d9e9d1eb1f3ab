import { z } from "zod";
import { FILLED_IN } from "./managed.ts";

/**
 * The shape of workflow.yaml, piece by piece: what the parser checks each piece against, and what editors get as JSON
 * Schema. Messages read on after the path: `nodes.store.path must be a text`.
 */

/** Texts may look like numbers (`version: 1.0`): the parser then takes them as written. */
const text = z.union([z.string(), z.number(), z.boolean()], { error: "must be a text" });
const textList = z.union([text, z.array(text)], { error: "must be a list of texts" });
const port = z
  .int({ error: "must be a whole number from 1 to 65535" })
  .min(1, "must be a whole number from 1 to 65535")
  .max(65_535, "must be a whole number from 1 to 65535");

function mapping<S extends z.ZodRawShape>(shape: S): z.ZodObject<S, z.core.$loose> {
  return z.looseObject(shape, { error: "must be a mapping (key: value)" });
}

const anything = z.record(z.string(), z.unknown(), { error: "must be a mapping (key: value)" });

export const metadataShape = mapping({
  group: text.nullish().meta({ description: "Groups tentacles in lists." }),
  environment: text.nullish().meta({ examples: ["production"] }),
  tags: textList.nullish().meta({ examples: [["reporting"]] }),
}).meta({ description: "Free words about the tentacle; other keys are kept." });

export const triggerShapes = {
  manual: mapping({ type: z.literal("manual") }),
  cron: mapping({
    type: z.literal("cron"),
    schedule: text.meta({
      description: "Cron expression: minute hour day-of-month month day-of-week.",
      examples: ["0 9 * * *"],
    }),
    name: text
      .nullish()
      .meta({ description: "The run's input is then {trigger: name}.", examples: ["daily"] }),
    timezone: text
      .nullish()
      .meta({ description: "IANA time zone; UTC by default.", examples: ["Europe/Berlin"] }),
  }),
  queue: mapping({
    type: z.literal("queue"),
    subject: text.meta({
      description: "NATS subject below the tentacle's own prefix, written without it. Needs tentacular-nats.",
      examples: ["orders.created"],
    }),
  }),
  webhook: mapping({
    type: z.literal("webhook"),
    path: text.meta({ description: "Where it is called, by POST.", examples: ["/hooks/github"] }),
    provider: z.literal("github").nullish().meta({
      description: "Who calls: its signature is checked, and event and actions can be told apart.",
    }),
    secret: text.nullish().meta({
      description:
        "One of the author's own secrets. github: the secret of the webhook; otherwise callers send it as a bearer token.",
      examples: ["github.webhook"],
    }),
    event: text
      .nullish()
      .meta({ description: "Only this event of the provider.", examples: ["pull_request"] }),
    actions: textList
      .nullish()
      .meta({ description: "Only these actions of the event.", examples: [["opened"]] }),
  }),
} as const;

export const nodeShape = mapping({
  path: text.meta({
    description: "The node's file, relative to workflow.yaml and below its folder.",
    examples: ["nodes/store.ts"],
  }),
  description: text.nullish().meta({ description: "One line: what the node does." }),
  capabilities: z
    .union([textList, anything], { error: "must be a list of texts" })
    .nullish()
    .meta({ description: "Free words for people; rights come from the contract alone." }),
});

export const edgeShape = mapping({
  from: text.meta({ description: "Name of the node whose result is handed on.", examples: ["fetch"] }),
  to: text.meta({ description: "Name of the node that gets it as input.", examples: ["store"] }),
});

export const configShape = mapping({
  timeout: z
    .union([z.string(), z.number()], { error: "must be a duration" })
    .nullish()
    .meta({ description: "Of one attempt of one node: 500ms, 30s, 2m, 1h or seconds.", examples: ["30s"] }),
  retries: z
    .int({ error: "must be a whole number from 0 to 10" })
    .min(0, "must be a whole number from 0 to 10")
    .max(10, "must be a whole number from 0 to 10")
    .nullish()
    .meta({ description: "Attempts after the first.", examples: [2] }),
}).meta({ description: "Open: nodes read all of it as ctx.config." });

export const deploymentShape = mapping({
  enclave: text.nullish().meta({ description: "The enclave to deploy to.", examples: ["team-a"] }),
  namespace: text.nullish().meta({ description: "Another word for enclave.", examples: ["team-a"] }),
});

export const sidecarShape = mapping({
  name: text.meta({ examples: ["pandoc"] }),
  image: text.meta({ examples: ["pandoc/core:3.6"] }),
  port: port.nullish().meta({ description: "Nodes reach it at localhost.", examples: [3030] }),
}).meta({
  description: "A container beside the engine; command, args, env, resources and healthPath are kept.",
});

export const managedShape = mapping({
  protocol: text
    .nullish()
    .meta({ description: "Not needed: deploying fills it in.", examples: ["postgresql"] }),
}).meta({ description: "Managed: write only the name; deploying fills in the rest." });

const auth = mapping({
  type: text.meta({
    description: "bearer-token, api-token, basic, webhook-url …",
    examples: ["bearer-token"],
  }),
  secret: text.meta({
    description: "Which of the author's secrets: service.key.",
    examples: ["github.token"],
  }),
});

export const hostShape = mapping({
  protocol: text.meta({ examples: ["https"] }),
  host: text.meta({ description: "Host name or IP address.", examples: ["api.github.com"] }),
  port: port.nullish().meta({
    description: "Not needed where the protocol has a usual one.",
    examples: [443],
  }),
  auth: auth.nullish(),
}).meta({ description: "A service of yours; keys that its protocol needs are handed to the nodes." });

export const dynamicShape = mapping({
  type: z.literal("dynamic-target"),
  cidr: text.meta({ description: "IPv4 range.", examples: ["10.20.0.0/16"] }),
  dynPorts: z.union([text, z.array(text)], { error: "must be a list of ports" }).meta({
    examples: [["443/TCP"]],
  }),
}).meta({ description: "Addresses that are known only at run time." });

export const moduleShape = mapping({
  protocol: z.enum(["npm", "jsr"], { error: "must be npm or jsr" }),
  host: text.meta({ description: "Package name.", examples: ["@db/postgres"] }),
  version: text.meta({ description: "Exact version, or ^ or ~ before it.", examples: ["0.19.5"] }),
}).meta({ description: "A module that nodes import by its package name." });

/** The sections of workflow.yaml, the pieces inside them unchecked. */
export const topShape = mapping({
  name: text.meta({
    description: "DNS-1123 label; with the enclave it names everything the tentacle owns.",
    examples: ["my-tentacle"],
  }),
  version: text.meta({ description: "The tentacle's own version.", examples: ["1.0"] }),
  description: text.nullish(),
  metadata: z.unknown().optional(),
  triggers: z.unknown().optional(),
  nodes: z.unknown().optional(),
  edges: z.unknown().optional(),
  config: z.unknown().optional(),
  deployment: z.unknown().optional(),
  sidecars: z.unknown().optional(),
  contract: z.unknown().optional(),
});

export const contractShape = mapping({
  version: text.nullish().meta({ description: 'Always "1".', examples: ["1"] }),
  dependencies: z.unknown().optional(),
  networkPolicy: anything.nullish(),
  extensions: anything.nullish(),
});

const oneOrMany = (shape: z.ZodType): z.ZodType => z.union([shape, z.array(shape)]).nullish();

/** The JSON Schema of workflow.yaml as an author writes it, for editors. */
export function workflowJsonSchema(): Record<string, unknown> {
  const dependencies = z.unknown().meta({
    description: "Everything outside that the nodes may reach.",
    type: ["object", "null"],
    patternProperties: { "^tentacular-": managedSchema() },
    additionalProperties: inner(z.union([dynamicShape, moduleShape, hostShape])),
  });
  const whole = topShape.extend({
    metadata: metadataShape.nullish(),
    triggers: oneOrMany(z.union(Object.values(triggerShapes))).meta({ description: "What starts a run." }),
    nodes: z.record(z.string(), nodeShape).meta({ description: "The steps, by name." }),
    edges: oneOrMany(edgeShape).meta({ description: "Which node's result goes to which node." }),
    config: configShape.nullish(),
    deployment: deploymentShape.nullish(),
    sidecars: oneOrMany(sidecarShape),
    contract: contractShape
      .extend({ dependencies })
      .nullish()
      .meta({ description: "What the tentacle may touch; everything else is refused." }),
  });
  return {
    ...z.toJSONSchema(whole, { io: "input" }),
    title: "Tentacular workflow.yaml",
  };
}

function managedSchema(): Record<string, unknown> {
  const { properties, ...schema } = inner(managedShape);
  const refused = Object.fromEntries(FILLED_IN.map((key) => [key, false]));
  return { ...schema, type: ["object", "null"], properties: { ...refused, ...Object(properties) } };
}

function inner(shape: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(shape, { io: "input" });
  return schema;
}
