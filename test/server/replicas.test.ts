import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningServe, startServe } from "../../src/serve.ts";
import { newToken } from "../../src/server/http.ts";
import { connect, eras } from "../support/mcp.ts";
import { ECHO, freshName, workflowOf } from "../support/platform.ts";
import { startRoundRobin } from "../support/round-robin.ts";

const token = newToken();
let folder = "";
let replicas: RunningServe[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-replicas-"));
  const environment = {
    PATH: process.env.PATH,
    XDG_STATE_HOME: folder,
    TENTACULAR_LOG_LEVEL: "silent",
    TENTACULAR_HTTP_PORT: "0",
    TENTACULAR_HTTP_TOKEN: token,
  };
  // What they share is the cluster, here a folder.
  replicas = [await startServe({ environment }), await startServe({ environment })];
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.close()));
  await rm(folder, { recursive: true, force: true });
});

describe.each(eras)("two replicas behind a plain load balancer, for a client of %s", (era) => {
  it("serve its calls in turn: what one did, the other knows", async () => {
    const balancer = await startRoundRobin(replicas.map(({ url }) => url));
    const client = await connect({ kind: "http", url: balancer.url, token }, era);
    const enclave = freshName("replicas");
    const files = { "nodes/one.ts": ECHO };
    const draft = workflowOf("moving");
    const steps = [
      () => client.call("deploy", { enclave, workflow: draft, files }),
      () => client.call("status", { enclave, name: "moving" }),
      () => client.call("run", { enclave, name: "moving", input: { n: 1 } }),
      () => client.call("logs", { enclave, name: "moving" }),
      () => client.call("undeploy", { enclave, name: "moving", force: "moving" }),
      () => client.call("status", { enclave, name: "moving" }),
    ];
    const results = [];
    for (const step of steps) results.push(await step());
    await client.close();
    await balancer.close();

    expect(results.slice(0, 5).map(({ isError, text }) => (isError ? text : "ok"))).toEqual(
      Array.from({ length: 5 }, () => "ok"),
    );
    expect(results[5]?.text).toMatch(/absent|not deployed|no tentacle/);
    const byReplica = (method: string): ReadonlySet<number> =>
      new Set(
        balancer.requests.filter(({ body }) => body.includes(`"${method}"`)).map(({ replica }) => replica),
      );
    expect(byReplica("tools/call")).toEqual(new Set([0, 1]));
    // The older protocol has a handshake: whoever had it is not the only one who then serves the client.
    expect(byReplica("initialize").size).toBe(era === "2025" ? 1 : 0);
  });
});
