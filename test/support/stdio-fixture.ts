/** A stdio server of the fixture tools, to be spawned. `--late` makes the host fail on the first call. */
import { takeStdout } from "../../src/server/stdout.ts";

const stdout = takeStdout();
console.log("noise before anything is loaded");
const { serveStdio } = await import("../../src/server/stdio.ts");
const { createMcpServerFactory } = await import("../../src/server/mcp-server.ts");
const { createLogger } = await import("../../src/log.ts");
const { createRedactor } = await import("../../src/redact.ts");
const { toolSet } = await import("../../src/server/tool-schema.ts");
const { fixtureHost, fixtureTools } = await import("./fixture-tools.ts");

const log = createLogger("info", createRedactor());
const service = createMcpServerFactory({
  version: "0.0.0-test",
  tools: toolSet(fixtureTools),
  host: fixtureHost,
  sharesFiles: true,
  log,
});
await serveStdio({ service, stdout, log });
console.log("noise at the end");
