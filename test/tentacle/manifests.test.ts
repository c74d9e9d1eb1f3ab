import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  CHECKSUM_ANNOTATION,
  type ClusterObject,
  type Deployment,
  labels,
} from "../../src/cluster/objects.ts";
import { denoConfig } from "../../src/tentacle/deno-config.ts";
import { readDeployedSource } from "../../src/tentacle/deployed-source.ts";
import { enrichWorkflow } from "../../src/tentacle/enrich.ts";
import { createIdentity } from "../../src/tentacle/identity.ts";
import { buildManifests, type ManifestInput } from "../../src/tentacle/manifests.ts";
import { parseWorkflow } from "../../src/tentacle/parse.ts";
import { deno } from "../cluster/tiny-engine.ts";

const CANARY = "canary-77ab";
const text = `name: hello
version: 1
nodes: { a: { path: nodes/a_b.ts } }
sidecars: [{ name: pandoc, image: "pandoc/core:3.6", port: 3030, healthPath: /version, securityContext: { privileged: true } }]
contract:
  version: "1"
  dependencies:
    tentacular-postgres:
    web: { protocol: https, host: api.example.com }
    ip: { protocol: http, host: 10.1.2.3 }
    range: { type: dynamic-target, cidr: 10.9.0.0/16, dynPorts: [53/UDP] }
    mod: { protocol: npm, host: "@scope/lib", version: 1.2.3 }
`;
const filled = {
  "tentacular-postgres": {
    protocol: "postgresql",
    fields: { host: "db.internal", port: 5432 },
    auth: { type: "password", secret: "tentacular-postgres.password" },
  },
};

function input(change: Partial<ManifestInput> = {}): ManifestInput {
  return {
    identity: createIdentity("team-a", "hello"),
    tentacle: parseWorkflow(text).tentacle,
    source: text,
    workflow: enrichWorkflow(text, filled),
    files: { "nodes/a_b.ts": "export default () => 1;", "./lib.ts": "" },
    engine: { files: { "engine.mjs": "engine()" } },
    credentials: { "tentacular-postgres": { host: "db.internal", port: 5432, password: CANARY } },
    secrets: { github: `{"token":"${CANARY}"}` },
    filled,
    ...change,
  };
}

function deploymentOf(objects: readonly ClusterObject[]): Deployment {
  const found = objects.find((object) => object.kind === "Deployment");
  if (found?.kind !== "Deployment") throw new Error("there is no Deployment");
  return found;
}

const checksumOf = (change: Partial<ManifestInput> = {}): string | undefined =>
  deploymentOf(buildManifests(input(change))).spec.template.metadata.annotations[CHECKSUM_ANNOTATION];

describe("the objects of a tentacle", () => {
  const objects = buildManifests(input());

  test("come in the order to apply them, labelled as the tentacle's but for the shared engine", () => {
    expect(objects.map((object) => `${object.kind} ${object.metadata.name}`)).toEqual([
      expect.stringMatching(/^ConfigMap tentacular-engine-[0-9a-f]{12}$/),
      "ConfigMap hello-code",
      "Secret hello-exoskeleton",
      "Secret hello-secrets",
      "ServiceAccount hello",
      "NetworkPolicy hello",
      "Service hello",
      "Deployment hello",
    ]);
    for (const { metadata } of objects.slice(1))
      expect(metadata).toMatchObject({
        namespace: "team-a",
        labels: {
          [labels.name]: "hello",
          [labels.managedBy]: "tentacular",
          [labels.enclave]: "team-a",
          [labels.tentacle]: "hello",
        },
      });
    expect(objects[0]?.metadata.labels).not.toHaveProperty([labels.tentacle]);
  });

  test("run in the operator's sandbox and find the Workload API, where it has chosen so", () => {
    const bare = deploymentOf(objects).spec.template.spec;
    expect(bare).not.toHaveProperty("runtimeClassName");
    expect(JSON.stringify(bare)).not.toContain("csi");
    const pod = { runtimeClass: "gvisor", spiffeCsiDriver: "csi.spiffe.io" };
    const chosen = deploymentOf(buildManifests(input({ pod }))).spec.template.spec;
    expect(chosen).toMatchObject({ runtimeClassName: "gvisor" });
    expect(chosen.volumes).toContainEqual({
      name: "spiffe",
      csi: { driver: "csi.spiffe.io", readOnly: true },
    });
    const [engine, sidecar] = chosen.containers;
    const mount = { name: "spiffe", mountPath: "/spiffe-workload-api", readOnly: true };
    expect(engine?.volumeMounts).toContainEqual(mount);
    expect(sidecar?.volumeMounts ?? []).not.toContainEqual(mount);
  });

  test("are the same for the same input, in whatever order it comes", () => {
    expect(buildManifests(input())).toEqual(objects);
    const turned = input({ files: { "lib.ts": "", "nodes/a_b.ts": "export default () => 1;" } });
    expect(JSON.stringify(buildManifests(turned))).toBe(JSON.stringify(objects));
  });

  test("hold no secret outside the two Secrets", () => {
    for (const object of objects) {
      const decoded =
        object.kind === "Secret"
          ? Object.values(object.data).map((value) => Buffer.from(value, "base64").toString())
          : [];
      expect([JSON.stringify(object), ...decoded].some((part) => part.includes(CANARY))).toBe(
        object.kind === "Secret",
      );
    }
  });

  test("leave out Secrets that would be empty", () => {
    const plain = buildManifests(input({ credentials: {}, secrets: {} }));
    expect(plain.filter((object) => object.kind === "Secret")).toEqual([]);
    const volumes = deploymentOf(plain).spec.template.spec.volumes;
    expect(volumes).toContainEqual({
      name: "secrets",
      projected: { sources: [{ secret: { name: "hello-secrets", optional: true } }] },
    });
  });

  test("map each file to a key and back to its path", () => {
    const code = objects[1];
    const volume = deploymentOf(objects).spec.template.spec.volumes.find(({ name }) => name === "code");
    if (code?.kind !== "ConfigMap" || volume === undefined || !("configMap" in volume))
      throw new Error("no code");
    const items = volume.configMap.items ?? [];
    const files = Object.fromEntries(items.map(({ key, path }) => [path, code.data[key]]));
    expect(Object.keys(files)).toEqual([
      "deno.json",
      "lib.ts",
      "nodes/a_b.ts",
      "tentacle.json",
      "workflow.yaml",
    ]);
    expect(files["workflow.yaml"]).toContain("host: db.internal");
    // And the author's own workflow.yaml, which no pod mounts.
    expect(Object.keys(code.data)).toHaveLength(items.length + 1);
    expect(readDeployedSource(code)).toEqual({
      workflow: text,
      files: { "nodes/a_b.ts": "export default () => 1;", "lib.ts": "" },
    });
    const edited = { ...code, data: { ...code.data, "lib.ts": "edited" } };
    expect(readDeployedSource(edited)).toBeUndefined();
    for (const key of Object.keys(code.data)) expect(key).toMatch(/^[-._a-zA-Z0-9]+$/);
  });

  test("roll the pod exactly when code, contract, credentials, secrets, engine or image change", () => {
    const first = checksumOf();
    expect(checksumOf()).toBe(first);
    const changes: readonly Partial<ManifestInput>[] = [
      { files: { "nodes/a_b.ts": "export default () => 2;", "./lib.ts": "" } },
      { workflow: `${input().workflow}# note\n` },
      { credentials: { "tentacular-postgres": { host: "db.internal", port: 5432, password: "new" } } },
      { secrets: {} },
      { engine: { files: { "engine.mjs": "engine2()" } } },
      { image: "denoland/deno:9" },
    ];
    const sums = changes.map(checksumOf);
    expect(new Set([first, ...sums]).size).toBe(changes.length + 1);
  });

  test("run under the restricted Pod Security standard, sidecars too", () => {
    const { spec } = deploymentOf(objects).spec.template;
    expect(spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } },
    });
    expect(spec.containers.map(({ name }) => name)).toEqual(["engine", "pandoc"]);
    for (const container of spec.containers)
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ["ALL"] },
      });
    expect(JSON.stringify(spec)).not.toContain("privileged");
    expect(JSON.stringify(spec)).not.toContain("hostPath");
    expect(spec.containers[0]).toMatchObject({
      securityContext: { readOnlyRootFilesystem: true },
      readinessProbe: { httpGet: { path: "/health", port: "http" } },
    });
    expect(spec.containers[0]?.args).toContain(
      "--allow-net=0.0.0.0:8080,db.internal:5432,api.example.com:443,10.1.2.3:80,10.9.0.0/16:53,localhost:3030,127.0.0.1:3030",
    );
  });

  test("deny all traffic but what is declared", () => {
    const policy = objects.find((object) => object.kind === "NetworkPolicy");
    expect(policy).toMatchObject({
      spec: {
        policyTypes: ["Ingress", "Egress"],
        ingress: [{ ports: [{ port: 8080, protocol: "TCP" }] }],
        egress: [
          {
            ports: [
              { port: 53, protocol: "UDP" },
              { port: 53, protocol: "TCP" },
            ],
          },
          { ports: [{ port: 5432, protocol: "TCP" }] },
          { ports: [{ port: 443, protocol: "TCP" }] },
          { to: [{ ipBlock: { cidr: "10.1.2.3/32" } }], ports: [{ port: 80, protocol: "TCP" }] },
          { to: [{ ipBlock: { cidr: "10.9.0.0/16" } }], ports: [{ port: 53, protocol: "UDP" }] },
        ],
      },
    });
  });
});

describe("a webhook", () => {
  const hooked = text.replace("nodes:", "triggers: [{ type: webhook, path: /hooks/x }]\nnodes:");
  const made = buildManifests(input({ tentacle: parseWorkflow(hooked).tentacle }));
  const specOf = (kind: string) => made.find((object) => object.kind === kind);

  test("gets a port of its own, which anybody may reach, and the server's stays the server's", () => {
    expect(specOf("Service")).toMatchObject({
      spec: {
        ports: [
          { name: "http", port: 8080, targetPort: "http" },
          { name: "webhooks", port: 8081, targetPort: "webhooks" },
        ],
      },
    });
    expect(specOf("NetworkPolicy")).toMatchObject({
      spec: {
        ingress: [
          { from: [{}], ports: [{ port: 8080, protocol: "TCP" }] },
          { ports: [{ port: 8081, protocol: "TCP" }] },
        ],
      },
    });
    const spec = JSON.stringify(specOf("Deployment"));
    expect(spec).toContain("--listen=0.0.0.0:8080");
    expect(spec).toContain("--webhooks=0.0.0.0:8081");
    expect(spec).toContain('{"name":"webhooks","containerPort":8081,"protocol":"TCP"}');
  });

  test("that is not declared opens nothing", () => {
    expect(JSON.stringify(buildManifests(input()))).not.toMatch(/webhooks|8081/);
  });
});

describe("deno.json", () => {
  test("maps declared modules by package and by name", () => {
    expect(JSON.parse(denoConfig(parseWorkflow(text).tentacle))).toMatchObject({
      imports: {
        "@scope/lib": "npm:@scope/lib@1.2.3",
        "@scope/lib/": "npm:/@scope/lib@1.2.3/",
        mod: "npm:@scope/lib@1.2.3",
      },
    });
  });

  test("lets a node import from tentacular on Deno, with no permission but to read its own files", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tentacular-deno-"));
    try {
      const files = {
        "deno.json": denoConfig(parseWorkflow(text).tentacle),
        "nodes/a.ts":
          'import type { Context } from "tentacular";\nimport "tentacular";\nexport default (ctx: Context) => 1;\n',
        "main.mjs": `const { default: node } = await import("file://${folder}/nodes/a.ts"); console.log(node());`,
      };
      for (const [path, source] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), source);
      }
      const child = spawnSync(
        await deno(),
        [
          "run",
          "--no-prompt",
          `--allow-read=${folder}`,
          `--config=${folder}/deno.json`,
          join(folder, "main.mjs"),
        ],
        {
          encoding: "utf8",
          env: { DENO_DIR: join(folder, "cache"), HOME: folder, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
        },
      );
      expect(child.stderr).toBe("");
      expect(child.stdout).toBe("1\n");
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
