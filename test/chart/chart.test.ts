import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { definitions } from "../../registrars/index.ts";
import { enclaveObjects } from "../../src/cluster/enclave-objects.ts";
import { loadServerConfig } from "../../src/config.ts";
import { newToken } from "../../src/server/http.ts";
import { CHART, find, helm, helmMissing, render, type Rendered } from "../support/helm.ts";

const missing = await helmMissing();
const variants = ["bare.yaml", "typed.yaml", "operated.yaml", "accounts.yaml"];

const podSchema = z.object({
  containers: z.tuple([
    z.looseObject({
      image: z.string(),
      env: z.array(z.object({ name: z.string(), value: z.string() })),
      volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })),
    }),
  ]),
  volumes: z.array(
    z.looseObject({
      name: z.string(),
      secret: z
        .looseObject({
          secretName: z.string(),
          items: z.array(z.object({ key: z.string(), path: z.string() })),
        })
        .optional(),
      configMap: z.object({ name: z.string() }).optional(),
    }),
  ),
});
const deploymentSchema = z.looseObject({
  spec: z.looseObject({ template: z.looseObject({ spec: z.looseObject(podSchema.shape) }) }),
});

function podOf(objects: readonly Rendered[]) {
  return deploymentSchema.parse(find(objects, "Deployment")).spec.template.spec;
}

function envOf(objects: readonly Rendered[]): Record<string, string> {
  return Object.fromEntries(podOf(objects).containers[0].env.map(({ name, value }) => [name, value]));
}

describe.skipIf(missing !== undefined)("the chart", () => {
  const folder = mkdtempSync(join(tmpdir(), "tentacular-chart-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is of the version of the package", () => {
    const { version } = z
      .object({ version: z.string() })
      .parse(JSON.parse(readFileSync("package.json", "utf8")));
    const chart: unknown = parse(readFileSync(`${CHART}/Chart.yaml`, "utf8"));
    expect(chart).toMatchObject({ version, appVersion: version });
  });

  it.each(variants)("passes helm lint with %s", async (file) => {
    const said = await helm(["lint", "--strict", CHART, "--values", `test/chart/values/${file}`]);
    expect(said).toContain("0 chart(s) failed");
  });

  it.each([
    ["enclaves[0].name=kube-system"],
    ["enclaves[0].name=Team"],
    ["enclaves[0].nmae=team-a"],
    ["enclaves[0].name=team-a,enclaves[0].quota.disk=1Gi"],
    ["enclaves[0].name=team-a,enclaves[0].quota.cpu=lots"],
    ["auth.token=short"],
    [`auth.token=${"x".repeat(32)},auth.existingSecret=callers`],
    ["exoskeleton.postgres.host=pg,exoskeleton.postgres.password=x"],
    ["exoskeleton.postgres.host=pg,exoskeleton.postgres.user=u"],
    ["exoskeleton.postgres.sslmode=require"],
    ["exoskeleton.nats.url=http://nats:4222"],
    ["exoskeleton.rustfs.endpoint=rustfs:9000"],
    ["exoskeleton.nats.url=nats://nats:4222"],
    ["exoskeleton.nats.accountsConfigMap.name=accounts"],
    ["exoskeleton.redis.enabled=true"],
    ["ingress.enabled=true"],
    ["replicaCount=many"],
    ["http.allowedHosts[0]=https://x/"],
    ["metrics.port=8080"],
    ["image.digest=latest"],
  ])("refuses %s", async (set) => {
    const refused = render({ set: [set] });
    // By the schema, or in words of the template's own.
    await expect(refused).rejects.toThrow(/values don't meet the specifications|set existingSecret, or/);
  });

  it("makes a token of its own for a first try, and another for another release", async () => {
    const tokens = await Promise.all([render({}), render({})]);
    const data = z.object({ token: z.string() });
    const [one, two] = tokens.map((objects) =>
      Buffer.from(data.parse(find(objects, "Secret").data).token, "base64").toString(),
    );
    expect(one).toMatch(/^[A-Za-z0-9]{48}$/);
    expect(two).not.toBe(one);
  });

  it("shows no credential but in Secrets", async () => {
    const objects = await render({ values: ["typed.yaml"] });
    const others = JSON.stringify(objects.filter(({ kind }) => kind !== "Secret"));
    expect(others).not.toMatch(/canary|SOAHZSVW/);
    expect(others).not.toContain(Buffer.from("canary-postgres-password").toString("base64"));
    expect(objects.filter(({ kind }) => kind === "Secret")).toHaveLength(4);
  });

  it.each(variants)("starts a server with %s that its configuration accepts", async (file) => {
    const objects = await render({ values: [file] });
    const environment = withFiles(folder, objects, envOf(objects));
    const config = loadServerConfig(definitions, {}, environment);
    expect(config.cluster).toEqual({
      kind: "kubernetes",
      serviceAccount: { namespace: "tentacular", name: "tentacular" },
    });
    expect(config.http.allowedHosts).toContain("tentacular.tentacular.svc");
    const on = Object.entries(config.services).flatMap(([name, { enabled }]) => (enabled ? [name] : []));
    const services = ["postgres", "nats", "rustfs"];
    expect(on).toEqual(
      {
        "bare.yaml": [],
        "typed.yaml": services,
        "operated.yaml": [...services, "spire"],
        "accounts.yaml": ["nats"],
      }[file],
    );
    if (file === "bare.yaml") return;
    expect(config.defaultEnclave).toBe("team-a");
    expect(config.cleanupOnUndeploy).toBe(file === "typed.yaml");
  });

  it("shows metrics where it is told to, on the port that Prometheus is told of", async () => {
    const objects = await render({ values: ["operated.yaml"] });
    const { metrics } = loadServerConfig(definitions, {}, withFiles(folder, objects, envOf(objects))).http;
    expect(metrics).toEqual({ host: "0.0.0.0", port: 9464 });
    expect(find(objects, "Deployment")).toMatchObject({
      spec: {
        template: {
          metadata: {
            annotations: {
              "prometheus.io/scrape": "true",
              "prometheus.io/port": "9464",
              "example.com/scrape": "false",
            },
          },
          spec: { containers: [{ ports: [{ name: "http" }, { name: "metrics", containerPort: 9464 }] }] },
        },
      },
    });
    expect(find(objects, "PodMonitor")).toMatchObject({
      metadata: { labels: { release: "prometheus" } },
      spec: { podMetricsEndpoints: [{ port: "metrics" }] },
    });
    const bare = await render({ values: ["bare.yaml"] });
    expect(bare.some(({ kind }) => kind === "PodMonitor")).toBe(false);
    expect(JSON.stringify(bare)).not.toMatch(/metrics|prometheus/i);
  });

  it("passes on what an operator sets, where it differs from the default", async () => {
    const objects = await render({ values: ["operated.yaml"] });
    expect(envOf(objects)).toMatchObject({
      TENTACULAR_POSTGRES_HOST: "pooler.data.svc",
      TENTACULAR_POSTGRES_PORT: "6432",
      TENTACULAR_RUSTFS_CREATE_BUCKET: "false",
      TENTACULAR_RUSTFS_DIALECT: "iam",
      TENTACULAR_SPIRE_CLASS_NAME: "spire-system-spire",
      TENTACULAR_INSTALLATION: "production",
      TENTACULAR_HTTP_READ_ONLY: "true",
      NODE_OPTIONS: "--max-old-space-size=384",
    });
    expect(envOf(objects).TENTACULAR_HTTP_ALLOWED_HOSTS).toMatch(
      /tentacular\.example\.com,tentacular\.internal$/,
    );
    expect(podOf(objects).containers[0].image).toMatch(/@sha256:[0-9a-f]{64}$/);
    expect(find(objects, "PodDisruptionBudget")).toMatchObject({ spec: { minAvailable: 1 } });
    expect(find(objects, "Deployment")).toMatchObject({
      spec: { replicas: 2, template: { metadata: { labels: { team: "platform" } } } },
    });
  });

  it("may change the one ConfigMap of the accounts of NATS, and reads nothing else there", async () => {
    const objects = await render({ values: ["accounts.yaml"] });
    const there = objects.filter(({ metadata }) => metadata.namespace === "nats");
    expect(there.map(({ kind }) => kind)).toEqual(["Role", "RoleBinding"]);
    expect(there[0]).toMatchObject({
      rules: [
        {
          apiGroups: [""],
          resources: ["configmaps"],
          resourceNames: ["tentacular-nats-accounts"],
          verbs: ["get", "patch"],
        },
      ],
    });
  });

  it("switches every service off at once", async () => {
    const objects = await render({ values: ["typed.yaml"], set: ["exoskeleton.enabled=false"] });
    const names = Object.keys(envOf(objects)).filter((name) => /POSTGRES|NATS|RUSTFS/.test(name));
    expect(names).toEqual([]);
    expect(objects.filter(({ kind }) => kind === "Secret")).toHaveLength(1);
  });

  it("makes enclaves of the same objects as the server does", async () => {
    const objects = await render({ values: ["typed.yaml"] });
    const server = { namespace: "tentacular", name: "tentacular" };
    const wanted = [
      ...enclaveObjects("team-a", { server }),
      ...enclaveObjects("team-b", { server, quota: { pods: "5", cpu: "500m", memory: "1Gi" } }),
    ];
    for (const object of wanted) {
      const { kind, metadata: named } = object;
      const inside = objects.filter(({ metadata }) => metadata.namespace === named.namespace);
      const made = find(inside, kind, named.name);
      const { annotations, ...metadata } = made.metadata;
      expect({ ...made, metadata }).toEqual(JSON.parse(JSON.stringify(object)));
      // A release that goes must not take the tentacles with it.
      if (object.kind === "Namespace") expect(annotations).toEqual({ "helm.sh/resource-policy": "keep" });
    }
  });
});

/** The files that the pod mounts, in a folder here, and the environment that names them. */
function withFiles(
  folder: string,
  objects: readonly Rendered[],
  env: Record<string, string>,
): Record<string, string> {
  const pod = podOf(objects);
  const paths = new Map<string, string>();
  for (const { name, mountPath } of pod.containers[0].volumeMounts) {
    const volume = pod.volumes.find((one) => one.name === name);
    for (const { key, path } of volume?.secret?.items ?? []) {
      const local = join(folder, `${name}-${path}`);
      writeFileSync(
        local,
        ownSecret(objects, volume?.secret?.secretName ?? "", key) ?? STANDS_FOR[key] ?? "",
      );
      paths.set(`${mountPath}/${path}`, local);
    }
    if (volume?.configMap !== undefined)
      for (const [file, path] of writeAuthorities(folder, objects, volume.configMap.name))
        paths.set(`${mountPath}/${file}`, path);
  }
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => {
      const mounted = value.startsWith("/etc/tentacular/");
      if (mounted && !paths.has(value)) throw new Error(`${name} names ${value}, which is not mounted`);
      return [name, paths.get(value) ?? value];
    }),
  );
}

/** What an operator's own Secrets hold. */
const STANDS_FOR: Readonly<Record<string, string>> = {
  token: newToken(),
  password: "p",
  "operator-signing-key": "SOAHZSVWJVVKBYFFNT2RP6FZUZUKDM3XYPJR5I2N3VFDT7KUWEYF2LYRIM",
  "system-creds": "-----BEGIN NATS USER JWT-----",
  "derivation-key": newToken(),
  "system-nkey": "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY",
  "access-key": "a",
  "secret-key": "s",
};

function ownSecret(objects: readonly Rendered[], name: string, key: string): string | undefined {
  const secret = objects.find((object) => object.kind === "Secret" && object.metadata.name === name);
  if (secret === undefined) return undefined;
  const data = z.record(z.string(), z.string()).parse(secret.data);
  return Buffer.from(data[key] ?? "", "base64").toString();
}

function writeAuthorities(
  folder: string,
  objects: readonly Rendered[],
  name: string,
): readonly (readonly [string, string])[] {
  const data = z.record(z.string(), z.string()).parse(find(objects, "ConfigMap", name).data);
  return Object.entries(data).map(([file, pem]) => {
    const path = join(folder, file);
    writeFileSync(path, pem);
    return [file, path];
  });
}
