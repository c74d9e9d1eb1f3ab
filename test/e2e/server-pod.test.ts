import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, test, vi } from "vitest";
import { z } from "zod";
import { freePort } from "../../src/embedded/port.ts";
import { newToken } from "../../src/server/http.ts";
import { tntc } from "../cli/tntc.ts";
import { createTestDatabase, type TestDatabase } from "../registrars/postgres-server.ts";
import { type Forward, forward } from "../support/forward.ts";
import { CHART, helm, helmMissing } from "../support/helm.ts";
import { testNodeCluster, testServerImage } from "../support/node-cluster.ts";
import { freshName } from "../support/platform.ts";

const services = inject("services");
const cluster = testNodeCluster();
const image = testServerImage();
const missing = (await helmMissing()) ?? (services.postgres.available ? undefined : services.postgres.reason);

/** The way of README's "On a cluster", with the server as a pod that has no other rights than the chart gives it. */
describe.skipIf(!cluster.available || !image.available || missing !== undefined)(
  "the server as a pod",
  () => {
    const namespace = freshName("tentacular");
    const [enclave, second] = [freshName("team"), freshName("team")];
    let kubeconfig: string;
    let folder: string;
    let env: Record<string, string>;
    let database: TestDatabase;
    let postgres: Forward;
    let forwarded: ChildProcess | undefined;

    async function kubectl(args: readonly string[], stdin = ""): Promise<string> {
      const run = promisify(execFile)("kubectl", ["--kubeconfig", kubeconfig, ...args]);
      run.child.stdin?.end(stdin);
      return (await run).stdout;
    }

    /** Runs the CLI against the pod; it must succeed. */
    async function cli(...args: string[]): Promise<string> {
      const { code, stdout, stderr } = await tntc(args, { env });
      if (code !== 0) throw new Error(`tntc ${args.join(" ")} ended with ${code}: ${stderr}`);
      return stdout;
    }

    /** Forwards a port to the Service and waits until the server answers there. */
    async function portForward(): Promise<void> {
      forwarded?.kill();
      const port = await freePort();
      const args = [
        "--kubeconfig",
        kubeconfig,
        "-n",
        namespace,
        "port-forward",
        "svc/tentacular",
        `${port}:8080`,
      ];
      forwarded = spawn("kubectl", args, { stdio: "ignore" });
      env.TNTC_SERVER = `http://localhost:${port}`;
      await vi.waitFor(async () => expect(await isReady(port)).toBe(true), {
        timeout: 60_000,
        interval: 200,
      });
    }

    beforeAll(async () => {
      if (!cluster.available || !image.available || !services.postgres.available) return;
      kubeconfig = cluster.kubeconfig;
      folder = await mkdtemp(join(tmpdir(), "tentacular-pod-"));
      database = await createTestDatabase(services.postgres, "createrole");
      postgres = await forward(cluster.hostIp, database.settings.port);
      await kubectl(["create", "namespace", namespace]);
      await kubectl(["label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted"]);
      const [repository = "", tag = ""] = image.name.split(/:(?=[^/]*$)/);
      const values = {
        image: { repository, tag },
        enclaves: [{ name: enclave }],
        server: { tentacleImage: cluster.image, installation: database.installation },
        exoskeleton: {
          postgres: {
            host: postgres.host,
            port: postgres.port,
            database: database.settings.database,
            user: database.settings.user,
            password: database.settings.password,
          },
        },
      };
      await writeFile(join(folder, "values.json"), JSON.stringify(values));
      await helm([
        ...["install", "tentacular", CHART, "--kubeconfig", kubeconfig, "--namespace", namespace],
        ...["--values", join(folder, "values.json"), "--wait", "--timeout", "120s"],
      ]);
      const secret = ["-n", namespace, "get", "secret", "tentacular-token", "-o", "jsonpath={.data.token}"];
      const token = Buffer.from(await kubectl(secret), "base64").toString();
      const tokenFile = join(folder, "tentacular.token");
      await writeFile(tokenFile, token);
      env = { TNTC_TOKEN_FILE: tokenFile };
      await portForward();
    });
    afterAll(async () => {
      forwarded?.kill();
      const purge = [enclave, second].map((name) => cli("enclave", "deprovision", name, "--force", "--yes"));
      await Promise.allSettled(purge);
      await helm(["uninstall", "tentacular", "--kubeconfig", kubeconfig, "--namespace", namespace]);
      await kubectl(["delete", "namespace", namespace, enclave, second, "--ignore-not-found"]);
      await postgres.stop();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    });

    test("shows its enclave and the service whose password it has from a file", async () => {
      const info: unknown = JSON.parse(await cli("enclave", "info", "-o", "json"));
      expect(info).toMatchObject({
        enclave,
        enclaves: [enclave],
        cluster: { kind: "kubernetes", available: true },
        exo_services: { postgres: { enabled: true, available: true }, nats: { enabled: false } },
      });
    });

    test("deploys an example, runs it, and shows its log", async () => {
      await cli("deploy", "examples/hello");
      expect(JSON.parse(await cli("run", "hello"))).toBeTruthy();
      expect(await cli("status", "hello")).toContain("ready");
      await cli("logs", "hello");
    });

    test("takes an enclave that the operator makes, and leaves its end to the operator", async () => {
      const refused = await tntc(["enclave", "provision", second], { env });
      expect(refused.code).toBe(4);
      expect(refused.stderr).toContain(`tntc enclave provision ${second} --print | kubectl apply -f -`);
      await kubectl(["apply", "-f", "-"], await cli("enclave", "provision", second, "--print"));
      expect((await cli("enclave", "list")).trim().split("\n")).toEqual([enclave, second].sort());
      await cli("deploy", "examples/hello", "-e", second);
      expect(await tntc(["enclave", "deprovision", second], { env })).toMatchObject({ code: 5 });
      const emptied = await tntc(["enclave", "deprovision", second, "--force", "--yes"], { env });
      expect(emptied).toMatchObject({ code: 6 });
      expect(emptied.stdout).toContain(`kubectl delete namespace ${second}`);
      expect(await cli("list", "-e", second, "-o", "json")).toContain('"tentacles": []');
      await kubectl(["delete", "namespace", second]);
    });

    test("knows everything again after its pod is gone, disk and all", async () => {
      await kubectl(["-n", namespace, "delete", "pod", "-l", "app.kubernetes.io/name=tentacular"]);
      await kubectl(["-n", namespace, "rollout", "status", "deployment/tentacular", "--timeout", "60s"]);
      await portForward();
      expect(await cli("status", "hello")).toContain("ready");
      expect(JSON.parse(await cli("run", "hello"))).toBeTruthy();
    });

    test("goes by a new token soon after its Secret has it", async () => {
      const next = newToken();
      const patch = JSON.stringify({ data: { token: Buffer.from(next).toString("base64") } });
      await kubectl(["-n", namespace, "patch", "secret", "tentacular-token", "-p", patch]);
      const tokenFile = join(folder, "next.token");
      await writeFile(tokenFile, next);
      const codeWith = async (file: string) =>
        (await tntc(["enclave", "list"], { env: { ...env, TNTC_TOKEN_FILE: file } })).code;
      await expect.poll(() => codeWith(tokenFile), { timeout: 120_000, interval: 1_000 }).toBe(0);
      expect(await codeWith(env.TNTC_TOKEN_FILE ?? "")).not.toBe(0);
      env.TNTC_TOKEN_FILE = tokenFile;
    });

    test("leaves nothing of an example after undeploy --force", async () => {
      await cli("undeploy", "hello", "--force", "--yes");
      const left = z.object({ items: z.array(z.unknown()) });
      const owned = ["-n", enclave, "get", "all,configmaps,secrets", "-l", "tentacular.io/tentacle=hello"];
      expect(left.parse(JSON.parse(await kubectl([...owned, "-o", "json"]))).items).toEqual([]);
    });
  },
);

async function isReady(port: number): Promise<boolean> {
  return fetch(`http://localhost:${port}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );
}
