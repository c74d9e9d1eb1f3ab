import { join } from "node:path";
import { z } from "zod";
import { newToken } from "../../src/server/http.ts";
import { find, type Rendered } from "./helm.ts";
import { type KubeletVolume, mountAsKubelet } from "./kubelet-volume.ts";

const sourceSchema = z.looseObject({ items: z.array(z.object({ key: z.string(), path: z.string() })) });
const podSchema = z.object({
  containers: z.tuple([
    z.looseObject({
      image: z.string(),
      env: z.array(
        z.object({ name: z.string(), value: z.string().optional(), valueFrom: z.unknown().optional() }),
      ),
      volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })),
    }),
  ]),
  volumes: z.array(
    z.looseObject({
      name: z.string(),
      secret: sourceSchema.extend({ secretName: z.string() }).optional(),
      configMap: sourceSchema.extend({ name: z.string() }).optional(),
    }),
  ),
});
const deploymentSchema = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({ metadata: z.looseObject({}), spec: z.looseObject(podSchema.shape) }),
  }),
});

/** The pod of the chart's Deployment. */
export function podOf(objects: readonly Rendered[]) {
  return deploymentSchema.parse(find(objects, "Deployment")).spec.template.spec;
}

/** What stands in its environment as plain text. */
export function envOf(objects: readonly Rendered[]): Record<string, string> {
  return Object.fromEntries(
    podOf(objects).containers[0].env.flatMap(({ name, value }) =>
      value === undefined ? [] : [[name, value]],
    ),
  );
}

/** What the pod's container is given, in a folder of this machine. */
export interface MountedPod {
  /** The environment, with the paths of this machine. */
  readonly environment: Readonly<Record<string, string>>;
  volume(name: string): KubeletVolume;
}

/**
 * Mounts the volumes of the chart's pod as the kubelet does. `own` are the values, by key, of Secrets and ConfigMaps that the
 * chart does not make; throws when the environment names a file that is not mounted.
 */
export async function mountPod(
  folder: string,
  objects: readonly Rendered[],
  own: Readonly<Record<string, string>> = {},
): Promise<MountedPod> {
  const pod = podOf(objects);
  const volumes = new Map<string, KubeletVolume>();
  const paths = new Map<string, string>();
  for (const { name, mountPath } of pod.containers[0].volumeMounts) {
    const { secret, configMap } = pod.volumes.find((volume) => volume.name === name) ?? {};
    const source =
      secret === undefined
        ? configMap && textsOf(objects, configMap.name)
        : secretOf(objects, secret.secretName);
    const items = (secret ?? configMap)?.items ?? [];
    const files = items.map(({ key, path }): [string, string] => {
      const text = source === undefined ? { ...STANDS_FOR, ...own }[key] : source[key];
      if (text === undefined) throw new Error(`nothing gives ${key} of volume ${name}`);
      paths.set(`${mountPath}/${path}`, join(folder, name, path));
      return [path, text];
    });
    if (files.length > 0)
      volumes.set(name, await mountAsKubelet(join(folder, name), Object.fromEntries(files)));
  }
  const environment = Object.entries(envOf(objects)).map(([name, value]): [string, string] => {
    if (!value.startsWith("/etc/tentacular/")) return [name, value];
    const path = paths.get(value);
    if (path === undefined) throw new Error(`${name} names ${value}, which is not mounted`);
    return [name, path];
  });
  return {
    environment: Object.fromEntries(environment),
    volume(name) {
      const volume = volumes.get(name);
      if (volume === undefined) throw new Error(`no volume ${name} is mounted`);
      return volume;
    },
  };
}

/** What an operator's own Secrets hold. */
const STANDS_FOR: Readonly<Record<string, string>> = {
  token: newToken(),
  tokens: `ci: ${newToken()}\n`,
  password: "p",
  "operator-signing-key": "SOAHZSVWJVVKBYFFNT2RP6FZUZUKDM3XYPJR5I2N3VFDT7KUWEYF2LYRIM",
  "system-creds": "-----BEGIN NATS USER JWT-----",
  "derivation-key": newToken(),
  "system-nkey": "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
  "access-key": "a",
  "secret-key": "s",
  "tls.crt": "-----BEGIN CERTIFICATE-----",
  "tls.key": "-----BEGIN PRIVATE KEY-----",
};

const data = z.record(z.string(), z.string());

/** The texts of a ConfigMap that the chart makes; undefined when it makes none of this name. */
function textsOf(objects: readonly Rendered[], name: string): Readonly<Record<string, string>> | undefined {
  const made = objects.find((object) => object.kind === "ConfigMap" && object.metadata.name === name);
  return made && data.parse(made.data);
}

function secretOf(objects: readonly Rendered[], name: string): Readonly<Record<string, string>> | undefined {
  const made = objects.find((object) => object.kind === "Secret" && object.metadata.name === name);
  if (made === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(data.parse(made.data)).map(([key, value]) => [
      key,
      Buffer.from(value, "base64").toString(),
    ]),
  );
}
