import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { queryObjects } from "node:v8";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { InvalidInput } from "../../src/errors.ts";
import { kubeconfigOf, createTestCluster } from "../support/kubernetes-enclave.ts";
import { testKubernetes } from "../support/kubernetes.ts";

const server = await testKubernetes();
const skip = server.available ? "" : `: ${server.reason}`;
const { signal } = new AbortController();

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-connection-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

describe("a kubeconfig", () => {
  const empty = JSON.stringify({ apiVersion: "v1", kind: "Config", clusters: [], users: [], contexts: [] });

  it.each([
    ["that is missing", undefined, /kubeconfig \S+ cannot be read/],
    ["that is no YAML", "{{{", /kubeconfig \S+ cannot be read/],
    ["without a cluster", empty, /no Kubernetes cluster is configured/],
  ])("%s is refused with its path or the setting", async (_, text, words) => {
    const kubeconfig = text === undefined ? join(folder, "none") : await file("bad", text);
    const asked = createTestCluster({ kubeconfig });
    await expect(asked).rejects.toThrow(InvalidInput);
    await expect(asked).rejects.toThrow(words);
  });

  it("without TLS is refused", async () => {
    const plain = {
      available: true,
      url: "http://127.0.0.1:1",
      ca: "",
      token: "t",
      certFile: "",
      keyFile: "",
    };
    const kubeconfig = await file("plain", kubeconfigOf(plain));
    await expect(createTestCluster({ kubeconfig })).rejects.toThrow("without TLS");
  });
});

describe.skipIf(!server.available)(`a connection to a real API server${skip}`, () => {
  it("is that of the context which is asked for; an unknown one is refused with those there are", async () => {
    if (!server.available) return;
    const text = kubeconfigOf(server).replace('"current-context":"test"', '"current-context":"gone"');
    const kubeconfig = await file("contexts", text);
    await expect(createTestCluster({ kubeconfig })).rejects.toThrow("no Kubernetes cluster is configured");
    const unknown = createTestCluster({ kubeconfig }, { context: "prod" });
    await expect(unknown).rejects.toThrow("no context prod");
    await expect(unknown).rejects.toHaveProperty("hint", expect.stringContaining("test"));
    const cluster = await createTestCluster({ kubeconfig }, { context: "test" });
    const probe = await cluster.probe(signal);
    expect(probe.available).toBe(true);
    expect(probe.version).toMatch(/^v1\.\d+/);
    await cluster.close();
  });

  it("holds nothing of the calls that were answered: each used to leave its deadlines, until those had passed", async () => {
    if (!server.available) return;
    const kubeconfig = await file("kept", kubeconfigOf(server));
    const cluster = await createTestCluster({ kubeconfig });
    await cluster.enclaves(signal);
    const before = queryObjects(AbortSignal, { format: "count" });
    for (let call = 0; call < 100; call++) await cluster.enclaves(signal);
    expect(queryObjects(AbortSignal, { format: "count" }) - before).toBeLessThan(50);
    await cluster.close();
  });

  it("proves itself by a credential program, and says so when that fails", async () => {
    if (!server.available) return;
    const credential = {
      apiVersion: "client.authentication.k8s.io/v1",
      kind: "ExecCredential",
      status: { token: server.token },
    };
    const program = async (name: string, script: string): Promise<string> => {
      const command = await file(name, `#!/bin/sh\n${script}\n`);
      await chmod(command, 0o700);
      const exec = { apiVersion: credential.apiVersion, command, interactiveMode: "Never" };
      return file(`${name}-config`, kubeconfigOf(server, { user: { exec } }));
    };
    const kubeconfig = await program("good", `echo '${JSON.stringify(credential)}'`);
    const cluster = await createTestCluster({ kubeconfig });
    expect(await cluster.probe(signal)).toMatchObject({ available: true });
    await cluster.close();

    const broken = await createTestCluster({
      kubeconfig: await program("bad", "echo canary-text >&2; exit 3"),
    });
    expect(await broken.probe(signal)).toEqual({
      available: false,
      reason: "the credentials of the kubeconfig cannot be had",
    });
    await broken.close();
  });
});
