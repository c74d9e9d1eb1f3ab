import { z } from "zod";
import { rustfs } from "../../registrars/rustfs/index.ts";
import type { RustfsSettings } from "../../registrars/rustfs/settings.ts";
import type { Registrar } from "../../src/exoskeleton/registrar.ts";
import { type Logger, silentLogger } from "../../src/log.ts";
import type { Store } from "./object-store.ts";
import type { RustfsServer, Service } from "./services.ts";

/** A bucket of its own on the RustFS of this test run; empty words where there is none. */
export function storeOf(server: Service<RustfsServer>, bucket: string): Store {
  const { endpoint, accessKey, secretKey } = server.available
    ? server
    : { endpoint: "http://127.0.0.1:1", accessKey: "", secretKey: "" };
  return { endpoint, accessKey, secretKey, bucket };
}

/** Settings as the configuration would read them: the schemas' defaults, and these. */
export function rustfsSettings(given: Partial<Record<keyof RustfsSettings, string>>): RustfsSettings {
  const { settings } = rustfs;
  const parsed = z
    .object({
      endpoint: settings.endpoint.schema,
      accessKey: settings.accessKey.schema,
      secretKey: settings.secretKey.schema,
      bucket: settings.bucket.schema,
      region: settings.region.schema,
      dialect: settings.dialect.schema,
      iamEndpoint: settings.iamEndpoint.schema,
      tentacleEndpoint: settings.tentacleEndpoint.schema,
      createBucket: settings.createBucket.schema,
      caFile: settings.caFile.schema,
      accept: settings.accept.schema,
    })
    .parse(given);
  const unset = { iamEndpoint: undefined, tentacleEndpoint: undefined, createBucket: undefined };
  return { ...unset, caFile: undefined, ...parsed };
}

/** A registrar on `store`, of installation `test` where no other is named. */
export function createRustfs(
  store: Store,
  more: Partial<Record<keyof RustfsSettings, string>> = {},
  {
    log = silentLogger,
    installation = "test",
  }: { readonly log?: Logger; readonly installation?: string | undefined } = {},
): Promise<Registrar> {
  return rustfs.create(rustfsSettings({ ...store, ...more }), { log, installation });
}
