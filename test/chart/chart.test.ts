import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { definitions } from "../../registrars/index.ts";
import { readPolicy } from "../../src/callers/policy.ts";
import { enclaveObjects } from "../../src/cluster/enclave-objects.ts";
import { loadServerConfig } from "../../src/config.ts";
import { CHART, find, helm, helmMissing, render, type Rendered } from "../support/helm.ts";
import { envOf, mountPod, podOf } from "../support/rendered-pod.ts";

const missing = await helmMissing();
const variants = ["bare.yaml", "typed.yaml", "operated.yaml", "accounts.yaml", "team.yaml"];

/** One that may be there, as after `--set`. */
const A_RULE =
  "auth.policy.rules[0].token=ci,auth.policy.rules[0].enclaves[0]=a,auth.policy.rules[0].scopes[0]=read";

describe.skipIf(missing !== undefined)("the chart", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tentacular-chart-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  });

  /** What the server of these objects takes from its environment and its files. */
  async function configOf(objects: readonly Rendered[]) {
    const { environment } = await mountPod(folder, objects);
    return loadServerConfig(definitions, {}, environment);
  }

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
    ["auth.policy.rules[0].token=ci"],
    ["auth.policy.rules[0].enclaves[0]=a,auth.policy.rules[0].scopes[0]=read"],
    [`${A_RULE},auth.policy.rules[0].subject=x`],
    [`${A_RULE},auth.policy.existingConfigMap=rules`],
    [`${A_RULE},auth.policy.rules[0].scopes[1]=raed`],
    ["auth.oidc.issuer=http://login.example.com,http.url=https://x/mcp,auth.policy.existingConfigMap=rules"],
    ["auth.oidc.issuer=https://login.example.com,http.url=https://x/mcp"],
    ["auth.oidc.issuer=https://login.example.com,auth.policy.existingConfigMap=rules"],
    ["http.url=https://x/"],
    ["http.rateLimit=-1"],
    ["http.connectionsPerAddress=2000"],
    ["tracing.sampleRatio=25"],
    ["tracing.endpoint=collector:4318"],
  ])("refuses %s", async (set) => {
    const refused = render({ set: [set] });
    // By the schema, or in words of the template's own.
    await expect(refused).rejects.toThrow(
      /values don't meet the specifications|set existingSecret, or|auth.oidc: set [a-z.]+ too/,
    );
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
    const config = await configOf(objects);
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
        "team.yaml": [],
      }[file],
    );
    if (file === "bare.yaml") return;
    expect(config.defaultEnclave).toBe("team-a");
    expect(config.cleanupOnUndeploy).toBe(file === "typed.yaml");
  });

  it("shows metrics where it is told to, on the port that Prometheus is told of", async () => {
    const objects = await render({ values: ["operated.yaml"] });
    const { metrics } = (await configOf(objects)).http;
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

  it("says who calls, and what each may do, by files of the operator's", async () => {
    const objects = await render({ values: ["team.yaml"] });
    const { http } = await configOf(objects);
    expect(http).toMatchObject({
      url: "https://tentacular.example.com/mcp",
      oidc: {
        issuer: "https://login.example.com/realms/dev",
        audience: "tentacular",
        scopes: ["read", "deploy"],
      },
      rateLimit: 1200,
      connectionsPerAddress: 64,
      tokensFile: join(folder, "tokens", "tokens"),
      tls: { certFile: join(folder, "tls", "tls.crt"), keyFile: join(folder, "tls", "tls.key") },
    });
    expect(http.allowedHosts).toContain("tentacular.example.com");
    // Nobody asked for a token for all.
    expect(http.token).toBeUndefined();
    expect(objects.filter(({ kind }) => kind === "Secret")).toEqual([]);
    const policy = readPolicy(http.policyFile ?? "");
    expect(policy.tokens).toEqual(["ci", "1e3"]);
    expect(policy.grantsOf({ token: "1e3" })).toEqual([{ enclaves: ["team-*"], scope: "read" }]);
    expect(policy.grantsOf({ subject: "x", claims: { realm_access: { roles: ["operator"] } } })).toEqual([
      { enclaves: ["*"], scope: "destroy" },
    ]);
    expect(envOf(objects).NODE_EXTRA_CA_CERTS).toBe("/etc/tentacular/authorities/oidc.pem");
  });

  it("gives nobody anything by an empty list of rules, and takes the operator's ConfigMap for a policy", async () => {
    const empty = await render({ values: ["bare.yaml"], json: ["auth.policy.rules=[]"] });
    const { http } = await configOf(await render({ values: ["bare.yaml"] }));
    expect(http.policyFile).toBeUndefined();
    expect(find(empty, "ConfigMap").data).toEqual({ "policy.yaml": "rules: []" });
    const theirs = await render({
      set: ["auth.policy.existingConfigMap=rules", "auth.tokensSecret=callers"],
    });
    expect(podOf(theirs).volumes).toContainEqual({
      name: "policy",
      configMap: { name: "rules", items: [{ key: "policy.yaml", path: "policy.yaml" }] },
    });
    expect(theirs.filter(({ kind }) => ["ConfigMap", "Secret"].includes(kind))).toEqual([]);
  });

  it.each([
    ["team.yaml", "https"],
    ["operated.yaml", "http"],
  ])("names and probes the port with %s by what it speaks: %s", async (file, scheme) => {
    const objects = await render({ values: [file] });
    const probe = { httpGet: { port: scheme, scheme: scheme.toUpperCase() } };
    const [container] = podOf(objects).containers;
    expect(container).toMatchObject({ startupProbe: probe, readinessProbe: probe, livenessProbe: probe });
    expect(container.ports).toContainEqual({ name: scheme, containerPort: 8080, protocol: "TCP" });
    expect(find(objects, "Service")).toMatchObject({
      spec: { ports: [{ name: scheme, targetPort: scheme, appProtocol: scheme }] },
    });
  });

  it("lets through an Ingress what clients ask: calls, who they are, and where they may log in", async () => {
    const paths = z.object({
      rules: z.tuple([z.object({ http: z.object({ paths: z.array(z.looseObject({ path: z.string() })) }) })]),
    });
    const shown = async (set: readonly string[]) => {
      const objects = await render({ values: ["operated.yaml"], set });
      const [rule] = paths.parse(find(objects, "Ingress").spec).rules;
      return { objects, paths: rule.http.paths.map(({ path }) => path) };
    };
    const plain = await shown([]);
    expect(plain.paths).toEqual(["/mcp", "/whoami"]);
    // All come from the proxy's address.
    expect(envOf(plain.objects).TENTACULAR_HTTP_CONNECTIONS_PER_ADDRESS).toBe("1024");
    const oidc = await shown([A_RULE, "auth.oidc.issuer=https://login.example.com"]);
    expect(oidc.paths).toEqual(["/mcp", "/whoami", "/.well-known/oauth-protected-resource"]);
    expect((await configOf(oidc.objects)).http).toMatchObject({
      url: "https://tentacular.example.com/mcp",
      oidc: { audience: "https://tentacular.example.com/mcp" },
    });
  });

  it("sends traces where it is told to, with the key of the operator's Secret", async () => {
    const objects = await render({ values: ["team.yaml"] });
    expect((await configOf(objects)).tracing).toBe(true);
    expect(envOf(objects)).toMatchObject({
      OTEL_EXPORTER_OTLP_ENDPOINT: "https://collector.example.com:4318",
      OTEL_EXPORTER_OTLP_CERTIFICATE: "/etc/tentacular/authorities/collector.pem",
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.25",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=a%2C%20b%3Dc",
    });
    expect(podOf(objects).containers[0].env).toContainEqual({
      name: "OTEL_EXPORTER_OTLP_HEADERS",
      valueFrom: { secretKeyRef: { name: "collector", key: "headers" } },
    });
    const all = await render({ values: ["team.yaml"], set: ["tracing.sampleRatio=0"] });
    expect(envOf(all).OTEL_TRACES_SAMPLER_ARG).toBe("0");
  });

  it("starts other pods for an authority that is read only once", async () => {
    const sumOf = async (set: readonly string[]) => {
      const objects = await render({ values: ["team.yaml"], set });
      const text = JSON.stringify(find(objects, "Deployment"));
      return /"tentacular\.io\/authorities":"([0-9a-f]{64})"/.exec(text)?.[1];
    };
    const before = await sumOf([]);
    expect(before).toBeDefined();
    expect(await sumOf(["auth.oidc.ca=other"])).not.toBe(before);
    expect(await sumOf(["http.rateLimit=1"])).toBe(before);
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
