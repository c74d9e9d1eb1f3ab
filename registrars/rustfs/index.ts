import { defineRegistrar } from "../../src/exoskeleton/registrar.ts";
import { fields } from "./credentials.ts";
import { settings } from "./settings.ts";

/**
 * Object storage: a user and a policy of its own for each tentacle, limited to its prefix of one shared bucket. RustFS
 * is driven by its admin API; AWS, SeaweedFS, Ceph RGW and others by the AWS IAM API.
 */
export const rustfs = defineRegistrar({
  service: "rustfs",
  dependency: "tentacular-rustfs",
  protocol: "s3",
  protocolAliases: ["http", "https"],
  summary: "Object storage (S3): a prefix of its own in a shared bucket, with its own keys.",
  usage: 'const objects = ctx.dependency("tentacular-rustfs"); await objects.put("notes/a.txt", "text");',
  auth: { type: "aws-sigv4", secretField: "secret_key" },
  fields,
  settings,
  async create(values, context) {
    // The AWS clients cost hundreds of milliseconds: only who uses them pays.
    const { createRustfsRegistrar } = await import("./registrar.ts");
    return createRustfsRegistrar(values, context);
  },
});
