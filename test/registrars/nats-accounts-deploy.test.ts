import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, inject, test } from "vitest";
import { createPlatform } from "../../src/platform.ts";
import { runWithAccounts } from "../support/nats-accounts.ts";
import { freshCall, freshName, workflowOf } from "../support/platform.ts";

const shared = inject("services").nats;
if (!shared.available) console.warn(`the deploy with NATS accounts in a file is skipped: ${shared.reason}`);

const NODE = `import type { Context } from "tentacular";
export default async function (ctx: Context) {
  const nats = ctx.dependency("tentacular-nats");
  const connection = await nats.connect();
  connection.subscribe(nats.subject + "echo", { callback: (_error, message) => message.respond(message.data) });
  return (await connection.request(nats.subject + "echo", "hello")).string();
}
`;

test.skipIf(!shared.available)("a tentacle talks over a NATS that is not in operator mode", async () => {
  const server = await runWithAccounts();
  const stateDir = await mkdtemp(join(tmpdir(), "tentacular-platform-"));
  const platform = await createPlatform({
    stateDir,
    environment: {
      TENTACULAR_NATS_URL: server.url,
      TENTACULAR_NATS_ACCOUNTS_FILE: server.accountsFile,
      TENTACULAR_NATS_SYSTEM_NKEY: server.systemSeed,
      TENTACULAR_LOG_LEVEL: "silent",
      PATH: process.env.PATH,
    },
  });
  try {
    const [enclave, name] = [freshName("accounts"), "talker"];
    const deployed = await platform.operations.deploy(
      { enclave, workflow: workflowOf(name, ["tentacular-nats"]), files: { "nodes/one.ts": NODE } },
      freshCall(),
    );
    expect(deployed.workload?.state).toBe("ready");
    expect(deployed.workflow).toContain("auth_method: nkey");
    expect(await platform.operations.run({ enclave, name }, freshCall())).toMatchObject({ result: "hello" });
    expect(await platform.operations.undeploy({ enclave, name, force: true }, freshCall())).toMatchObject({
      failed: [],
    });
    expect(await server.text()).not.toContain(`${enclave}/${name}`);
  } finally {
    await platform.close();
    await server.remove();
    await rm(stateDir, { recursive: true, force: true });
  }
});
