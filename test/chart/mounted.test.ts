import { mkdtemp, readFile, rm } from "node:fs/promises";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type RunningServe, startServe } from "../../src/serve.ts";
import { newToken } from "../../src/server/http.ts";
import { type Certificate, createCertificate } from "../support/certificates.ts";
import { helmMissing, render } from "../support/helm.ts";
import { mountPod } from "../support/rendered-pod.ts";

const missing = await helmMissing();

describe.skipIf(missing !== undefined)("a server with the files that the chart mounts", () => {
  let folder: string;
  let server: RunningServe | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "tentacular-mounted-"));
  });
  afterEach(async () => {
    await server?.close();
    server = undefined;
    await rm(folder, { recursive: true, force: true });
  });

  it("knows callers, their rights and its certificate by them, and takes each that the kubelet replaces", async () => {
    const [first, second] = [await certificate("first"), await certificate("second")];
    const [old, renewed] = [newToken(), newToken()];
    const objects = await render({
      values: ["team.yaml"],
      set: ["auth.oidc.issuer=", "tracing.endpoint="],
    });
    const pod = await mountPod(folder, objects, { tokens: `ci: ${old}\n`, ...(await filesOf(first)) });
    const { TENTACULAR_SERVICE_ACCOUNT: _account, ...environment } = pod.environment;
    server = await startServe({
      environment: {
        ...environment,
        PATH: process.env.PATH,
        XDG_STATE_HOME: folder,
        TENTACULAR_CLUSTER: "local",
        TENTACULAR_HTTP_HOST: "127.0.0.1",
        TENTACULAR_HTTP_PORT: "0",
        TENTACULAR_LOG_LEVEL: "silent",
      },
      watchMs: 20,
    });
    const { url } = server;
    const grants = [{ enclaves: ["team-a"], scope: "deploy" }];
    expect(await whoami(url, first, old)).toEqual({ status: 200, answer: { name: "token:ci", grants } });

    await pod.volume("tokens").update({ tokens: `ci: ${renewed}\n` });
    await vi.waitFor(async () => expect((await whoami(url, first, renewed)).status).toBe(200), 20_000);
    expect((await whoami(url, first, old)).status).toBe(401);

    const rules = "rules: [{ token: ci, enclaves: [team-b], scopes: [read] }]";
    await pod.volume("policy").update({ "policy.yaml": rules });
    await vi.waitFor(
      async () =>
        expect((await whoami(url, first, renewed)).answer).toMatchObject({
          grants: [{ enclaves: ["team-b"], scope: "read" }],
        }),
      20_000,
    );

    await pod.volume("tls").update(await filesOf(second));
    await vi.waitFor(async () => expect((await whoami(url, second, renewed)).status).toBe(200), 20_000);
    await expect(whoami(url, first, renewed)).rejects.toThrow(/self-signed certificate/);
  });

  it("takes a token for all that the kubelet replaces", async () => {
    const [old, renewed] = [newToken(), newToken()];
    const pod = await mountPod(folder, await render({ values: ["bare.yaml"] }), { token: old });
    server = await startServe({
      environment: {
        PATH: process.env.PATH,
        XDG_STATE_HOME: folder,
        TENTACULAR_HTTP_TOKEN_FILE: pod.environment.TENTACULAR_HTTP_TOKEN_FILE,
        TENTACULAR_HTTP_PORT: "0",
        TENTACULAR_LOG_LEVEL: "silent",
      },
      watchMs: 20,
    });
    const ask = async (token: string): Promise<number> => {
      const at = new URL("/whoami", server?.url);
      return (await fetch(at, { headers: { authorization: `Bearer ${token}` } })).status;
    };
    expect(await ask(old)).toBe(200);
    await pod.volume("token").update({ token: `${renewed}\n` });
    await vi.waitFor(async () => expect(await ask(renewed)).toBe(200), 20_000);
    expect(await ask(old)).toBe(401);
  });

  async function certificate(name: string): Promise<Certificate> {
    const made = await createCertificate(folder, name);
    if (made === undefined)
      throw new Error("the openssl program is needed to make certificates for this test");
    return made;
  }
});

async function filesOf({ pem, keyFile }: Certificate): Promise<Record<string, string>> {
  return { "tls.crt": pem, "tls.key": await readFile(keyFile, "utf8") };
}

/** Asks over a connection of its own that trusts one certificate. */
function whoami(
  url: string,
  { pem }: Certificate,
  token: string,
): Promise<{ status: number; answer: unknown }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    get(new URL("/whoami", url), { ca: pem, agent: false, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part: string) => (text += part));
      response.on("end", () => {
        const answer: unknown = JSON.parse(text);
        resolve({ status: response.statusCode ?? 0, answer });
      });
    }).on("error", reject);
  });
}
