import { z } from "zod";

const condition = z.looseObject({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
  lastTransitionTime: z.string().nullish(),
});
export type Condition = z.output<typeof condition>;

const terminated = z.looseObject({
  exitCode: z.number().default(0),
  reason: z.string().optional(),
  message: z.string().optional(),
});

const containerStatus = z.looseObject({
  name: z.string(),
  image: z.string().default(""),
  ready: z.boolean().default(false),
  restartCount: z.number().default(0),
  state: z
    .looseObject({
      waiting: z.looseObject({ reason: z.string().optional(), message: z.string().optional() }).optional(),
      running: z.looseObject({}).optional(),
      terminated: terminated.optional(),
    })
    .default({}),
  lastState: z.looseObject({ terminated: terminated.optional() }).default({}),
});
export type ContainerStatus = z.output<typeof containerStatus>;

const podSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string(),
    annotations: z.record(z.string(), z.string()).default({}),
    labels: z.record(z.string(), z.string()).default({}),
    creationTimestamp: z.string(),
    deletionTimestamp: z.string().optional(),
  }),
  spec: z.looseObject({
    containers: z.array(
      z.looseObject({
        name: z.string(),
        image: z.string().default(""),
        resources: z
          .looseObject({ limits: z.record(z.string(), z.union([z.string(), z.number()])).optional() })
          .optional(),
      }),
    ),
  }),
  status: z
    .looseObject({
      phase: z.string().optional(),
      reason: z.string().optional(),
      message: z.string().optional(),
      startTime: z.string().nullish(),
      conditions: z.array(condition).default([]),
      containerStatuses: z.array(containerStatus).default([]),
    })
    .default({ conditions: [], containerStatuses: [] }),
});
/** What is read of a pod. */
export type Pod = z.output<typeof podSchema>;

const deploymentSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string(),
    generation: z.number().default(0),
    deletionTimestamp: z.string().optional(),
  }),
  spec: z.looseObject({
    replicas: z.number().default(1),
    template: z.looseObject({
      metadata: z
        .looseObject({ annotations: z.record(z.string(), z.string()).default({}) })
        .default({ annotations: {} }),
    }),
  }),
  status: z
    .looseObject({
      observedGeneration: z.number().default(0),
      updatedReplicas: z.number().default(0),
      availableReplicas: z.number().default(0),
      conditions: z.array(condition).default([]),
    })
    .default({ observedGeneration: 0, updatedReplicas: 0, availableReplicas: 0, conditions: [] }),
});
/** What is read of a Deployment. */
export type LiveDeployment = z.output<typeof deploymentSchema>;

export function parsePod(json: unknown): Pod {
  return podSchema.parse(json);
}

export function parseDeployment(json: unknown): LiveDeployment {
  return deploymentSchema.parse(json);
}
