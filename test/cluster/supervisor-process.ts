/** A process that runs the tentacles of the state folder given as its argument until it is ended, as `tntc up` does. */
import { createLocalCluster } from "../../src/cluster/local/index.ts";
import { silentLogger } from "../../src/log.ts";
import { deno } from "./tiny-engine.ts";

const [, , stateDir = ""] = process.argv;
const cluster = createLocalCluster({
  stateDir,
  deno,
  log: silentLogger,
  supervise: true,
  defaultEnclave: "local",
});
process.once("SIGTERM", () => void cluster.close());
await cluster.probe(AbortSignal.timeout(5_000));
console.log("up");
