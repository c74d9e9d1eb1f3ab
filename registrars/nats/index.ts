import { z } from "zod";
import { defineRegistrar } from "../../src/exoskeleton/registrar.ts";
import type { SettingSpecs } from "../../src/exoskeleton/settings.ts";
import { TRUST_DOMAIN } from "../../src/tentacle/spiffe.ts";
import { parseConfigMapKey } from "./accounts-file/config-map-key.ts";
import { parseAddress } from "./address.ts";
import type { Reach } from "./connection.ts";
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
    doc: "Address of nats-server, `nats://host:4222` or `tls://host:4222`.",
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
      )
      .optional(),
    required: false,
    secret: true,
    doc: "Operator mode: seed (`SO…`) of a signing key of the operator; it signs the account of each tentacle.",
  },
  systemCreds: {
    env: "TENTACULAR_NATS_SYSTEM_CREDS",
    schema: z
      .string()
      .includes("-----BEGIN NATS USER JWT-----", { error: "must be the text of a .creds file" })
      .optional(),
    required: false,
    secret: true,
    doc: "Operator mode: text of the .creds file of a user in the system account; docs/nats.md lists the few permissions that it needs.",
  },
  derivationKey: {
    env: "TENTACULAR_NATS_DERIVATION_KEY",
    schema: z.string().min(32, "must have at least 32 characters").optional(),
    required: false,
    secret: true,
    doc: "Operator mode: secret from which the key of each tentacle's account is derived. Default: the operator signing key. Before that key is replaced, set this to the old seed: with another secret, tentacles get new, empty accounts.",
  },
  caFile: {
    env: "TENTACULAR_NATS_CA_FILE",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "PEM file of the authority that signed nats-server's certificate; tentacles get it with their credentials.",
  },
  accountsFile: {
    env: "TENTACULAR_NATS_ACCOUNTS_FILE",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "Without operator mode: the file that nats-server includes in its `accounts` block and that Tentacular writes.",
  },
  accountsConfigMap: {
    env: "TENTACULAR_NATS_ACCOUNTS_CONFIGMAP",
    schema: z
      .string()
      .refine((text) => parseConfigMapKey(text) !== undefined, "must be namespace/name/key")
      .optional(),
    required: false,
    secret: false,
    doc: "Without operator mode, on Kubernetes: the ConfigMap key that stands for that file, `namespace/name/key`.",
  },
  systemNkey: {
    env: "TENTACULAR_NATS_SYSTEM_NKEY",
    schema: z
      .string()
      .trim()
      .refine((seed) => isSeed(seed, "U"), "must be the seed of a user, SU and 56 more letters and digits")
      .optional(),
    required: false,
    secret: true,
    doc: "Without operator mode: seed (`SU…`) of a system account user, who tells nats-server to reload. Not needed with a pid file or a config reloader.",
  },
  pidFile: {
    env: "TENTACULAR_NATS_PID_FILE",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "Without operator mode: `pid_file` of a nats-server on this machine, which is told to reload by SIGHUP.",
  },
  trustDomain: {
    env: "TENTACULAR_NATS_TRUST_DOMAIN",
    schema: z.string().regex(TRUST_DOMAIN, "must be a SPIFFE trust domain").optional(),
    required: false,
    secret: false,
    doc: "Without operator mode: SPIFFE trust domain whose X.509 SVIDs log in as well; nats-server must have `verify_and_map`.",
  },
  clientCertFile: {
    env: "TENTACULAR_NATS_CLIENT_CERT_FILE",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "PEM file of the certificate that this server shows to a nats-server that asks for one.",
  },
  clientKeyFile: {
    env: "TENTACULAR_NATS_CLIENT_KEY_FILE",
    schema: z.string().optional(),
    required: false,
    secret: false,
    doc: "PEM file of its key. Default: the same file.",
  },
} as const satisfies SettingSpecs;

/** NATS: an account of its own for each tentacle, with its subjects, its streams and its inbox. */
export const nats = defineRegistrar({
  service: "nats",
  dependency: "tentacular-nats",
  protocol: "nats",
  summary:
    "An account of its own on NATS: publish and subscribe below its subject prefix, streams, key-value and object buckets (100 MiB).",
  usage:
    'const nats = ctx.dependency("tentacular-nats"); (await nats.connect()).publish(nats.subject + "events", "text");',
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
    { name: "auth_method", secret: false, doc: "`creds` on a server in operator mode, else `nkey`." },
    { name: "user", secret: false, doc: "Public key of the user." },
    { name: "creds", secret: true, doc: "Text of a .creds file, or the seed of an nkey: see auth_method." },
  ],
  settings,
  modes: {
    "operator mode": ["operatorSigningKey", "systemCreds"],
    "accounts in a file that its configuration includes": ["accountsFile"],
    "accounts in a ConfigMap that its configuration includes": ["accountsConfigMap"],
  },
  async create(values, context) {
    const address = parseAddress(values.url);
    const tentacleAddress = parseAddress(values.tentacleUrl ?? values.url);
    if (address === undefined || tentacleAddress === undefined) throw new TypeError("not a NATS address");
    const { clientCertFile: certFile, clientKeyFile: keyFile = certFile ?? "" } = values;
    const reach: Reach = {
      address,
      caFile: values.caFile,
      ...(certFile !== undefined && { clientCertificate: { certFile, keyFile } }),
    };
    if (values.operatorSigningKey !== undefined && values.systemCreds !== undefined) {
      const { createNatsRegistrar } = await import("./registrar.ts");
      return createNatsRegistrar(
        {
          reach,
          tentacleAddress,
          operator: keyFromSeed(values.operatorSigningKey, "O"),
          secret: Buffer.from(values.derivationKey ?? values.operatorSigningKey),
          systemCreds: values.systemCreds,
        },
        context,
      );
    }
    const { createWithAccountsText } = await import("./accounts-file/index.ts");
    return createWithAccountsText({ ...values, reach, tentacleAddress }, context);
  },
});
