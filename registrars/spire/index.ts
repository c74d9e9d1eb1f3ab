import { z } from "zod";
import { Unavailable } from "../../src/errors.ts";
import { defineRegistrar, type Registrar } from "../../src/exoskeleton/registrar.ts";
import { TRUST_DOMAIN } from "../../src/tentacle/spiffe.ts";

const NEEDS_KUBERNETES = "workload identities need a Kubernetes cluster with the SPIRE controller manager";
const REMEDY = "Run the server against such a cluster, or unset TENTACULAR_EXOSKELETON_SPIRE_ENABLED.";

/** SPIFFE identities for all tentacles. Only a Kubernetes cluster can give them: on this machine it says so. */
export const spire = defineRegistrar({
  service: "spire",
  dependency: "tentacular-spire",
  protocol: "spiffe",
  summary: "A SPIFFE identity (X.509 SVID) of the tentacle's own; every tentacle has one, declared or not.",
  always: true,
  keepsNothing: true,
  fields: [
    {
      name: "spiffe_id",
      secret: false,
      doc: "The identity: spiffe://<trust domain>/ns/<enclave>/tentacles/<name>. Only where TENTACULAR_SPIRE_TRUST_DOMAIN is set.",
    },
  ],
  settings: {
    enabled: {
      env: "TENTACULAR_EXOSKELETON_SPIRE_ENABLED",
      schema: z.stringbool(),
      required: true,
      secret: false,
      doc: "`true` gives each tentacle a SPIFFE identity.",
    },
    className: {
      env: "TENTACULAR_SPIRE_CLASS_NAME",
      schema: z
        .string()
        .regex(/^[\w.-]{1,253}$/, "must be the class name of a SPIRE controller manager")
        .optional(),
      required: false,
      secret: false,
      doc: "Class of the SPIRE controller manager that shall see the identities.",
    },
    trustDomain: {
      env: "TENTACULAR_SPIRE_TRUST_DOMAIN",
      schema: z.string().regex(TRUST_DOMAIN, "must be a SPIFFE trust domain").optional(),
      required: false,
      secret: false,
      doc: "SPIRE's trust domain, so that tentacles are told their whole SPIFFE ID. Without it SPIRE fills it in.",
    },
  },
  isEnabled: ({ enabled }) => enabled,
  async create({ className, trustDomain }, { kubernetes }) {
    if (kubernetes === undefined) return unavailableHere;
    const { createSpireRegistrar } = await import("./registrar.ts");
    return createSpireRegistrar(kubernetes, { className, trustDomain });
  },
});

const refuse = async (): Promise<never> => {
  throw new Unavailable(NEEDS_KUBERNETES, { reason: "failed", hint: REMEDY });
};

const unavailableHere: Registrar = {
  names: () => ({}),
  probe: async () => ({ available: false, reason: NEEDS_KUBERNETES, remedy: REMEDY, latencyMs: 0 }),
  register: refuse,
  inspect: refuse,
  rotate: refuse,
  retire: refuse,
  revert: refuse,
  unregister: async () => ({ removed: [], failed: [] }),
  marks: async () => [],
  close: async () => undefined,
};
