import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { readTentacleFolder } from "../../src/folder/read-folder.ts";
import { createPlatform, type Platform } from "../../src/platform.ts";
import { connect, type CallOptions, type TestClient, type TestResult, testService } from "./mcp.ts";

/** A server of this machine without any backing service, and a client that has listed its tools. */
export interface ToolWorld {
  call(tool: string, args?: Record<string, unknown>, options?: CallOptions): Promise<TestResult>;
  /** The same, and it must succeed. */
  ok(tool: string, args?: Record<string, unknown>): Promise<TestResult>;
}

/** Makes one world for the tests of a file. */
export function useToolWorld(): ToolWorld {
  let client: TestClient | undefined;
  let platform: Platform | undefined;
  let stateDir = "";

  beforeAll(async () => {
    stateDir = await mkdtemp(join(tmpdir(), "tentacular-tools-"));
    const made = await createPlatform({ environment: { TENTACULAR_LOG_LEVEL: "silent" }, stateDir });
    platform = made;
    client = await connect({
      kind: "memory",
      service: testService({
        host: async () => ({ operations: made.operations, readDirectory: readTentacleFolder }),
        redactor: made.redactor,
      }),
    });
  });
  afterAll(async () => {
    await client?.close();
    await platform?.close();
    await rm(stateDir, { recursive: true, force: true });
  });

  const call: ToolWorld["call"] = async (tool, args, options) => {
    if (client === undefined) throw new Error("the world is not made yet");
    return client.call(tool, args, options);
  };
  return {
    call,
    async ok(tool, args) {
      const result = await call(tool, args);
      if (result.isError) throw new Error(result.text);
      return result;
    },
  };
}

/** A tentacle with one node and no dependency. */
export function greeter(name: string, source = GREET): { workflow: string; files: Record<string, string> } {
  return {
    workflow: `name: ${name}
version: 1.0.0
triggers:
  - type: manual
nodes:
  greet:
    path: nodes/greet.ts
contract:
  version: "1"
  dependencies: {}
`,
    files: { "nodes/greet.ts": source },
  };
}

const GREET = `export default async (ctx, input) => {
  ctx.log.info("greeting", { who: input?.who });
  if (input?.fail) throw new Error(input.fail);
  return { hello: input?.who ?? "world" };
};
`;
