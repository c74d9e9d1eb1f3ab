import { z } from "zod";
import { defineRegistrar } from "../../src/exoskeleton/registrar.ts";
import type { SettingSpecs } from "../../src/exoskeleton/settings.ts";
import { parseAddress } from "./address.ts";
import { isSeed, keyFromSeed } from "./keys.ts";

const url = z
  .string()
  .refine(
    (text) => parseAddress(text) !== undefined,
    "must be nats://host:port or tls://host:port, without credentials",
  );

const settings = {
  url: {
    env: "TENTACULAR_NATS_URL",
    schema: url,
    required: true,
    secret: false,
    doc: "Address of nats-server, `nats://host:4222` or `tls://host:4222`. The server must be in operator mode with a full resolver.",
  },
  tentacleUrl: {
    env: "TENTACULAR_NATS_TENTACLE_URL",
    schema: url.optional(),
    required: false,
    secret: false,
    doc: "Address by which tentacles reach nats-server. Default: TENTACULAR_NATS_URL.",
  },
  operatorSigningKey: {
    env: "TENTACULAR_NATS_OPERATOR_SIGNING_KEY",
    schema: z
      .string()
      .trim()
      .refine(
        (seed) => isSeed(seed, "O"),
        "must be the seed of an operator key, SO and 56 more letters and digits",
      ),
    required: true,
    secret: true,
    doc: "Seed (`SO…`) of a signing key of the operator; it signs the account of each tentacle.",
  },
  systemCreds: {
    env: "TENTACULAR_NATS_SYSTEM_CREDS",
    schema: z.string().includes("-----BEGIN NATS USER JWT-----", {
      error: "must be the text of a .creds file",
    }),
    required: true,
    secret: true,
    doc: "Text of the .creds file of a user in the system account; docs/nats.md lists the few permissions that it needs.",
  },
  derivationKey: {
    env: "TENTACULAR_NATS_DERIVATION_KEY",
    schema: z.string().min(32, "must have at least 32 characters").optional(),
    required: false,
    secret: true,
    doc: "Secret from which the key of each tentacle's account is derived. Default: the operator signing key. Before that key is replaced, set this to the old seed: with another secret, tentacles get new, empty accounts.",
  },
  caFile: {
    env: "TENTACULAR_NATS_CA_FILE",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "PEM file of the authority that signed nats-server's certificate; tentacles get it with their credentials.",
  },
} as const satisfies SettingSpecs;

/** NATS: an account of its own for each tentacle, with its subjects, its streams and its inbox. */
export const nats = defineRegistrar({
  service: "nats",
  dependency: "tentacular-nats",
  protocol: "nats",
  summary:
    "An account of its own on NATS: publish and subscribe below its subject prefix, streams, key-value and object buckets (100 MiB).",
  auth: { type: "creds", secretField: "creds" },
  fields: [
    { name: "host", secret: false, doc: "Host of nats-server." },
    { name: "port", secret: false, doc: "Port of nats-server." },
    { name: "url", secret: false, doc: "`nats://host:port`, or `tls://…`." },
    { name: "subject_prefix", secret: false, doc: "Every subject begins with it; ends with a dot." },
    {
      name: "inbox_prefix",
      secret: false,
      doc: "A client must use it as its inbox prefix, or no reply arrives.",
    },
    { name: "auth_method", secret: false, doc: "Always `creds`." },
    { name: "user", secret: false, doc: "Public key of the user." },
    { name: "creds", secret: true, doc: "Text of a .creds file." },
  ],
  settings,
  async create(values, context) {
    const { createNatsRegistrar } = await import("./registrar.ts");
    const address = parseAddress(values.url);
    const tentacleAddress = parseAddress(values.tentacleUrl ?? values.url);
    if (address === undefined || tentacleAddress === undefined) throw new TypeError("not a NATS address");
    return createNatsRegistrar(
      {
        address,
        tentacleAddress,
        operator: keyFromSeed(values.operatorSigningKey, "O"),
        secret: Buffer.from(values.derivationKey ?? values.operatorSigningKey),
        systemCreds: values.systemCreds,
        caFile: values.caFile,
      },
      context,
    );
  },
});
