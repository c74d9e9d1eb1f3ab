import type { Tool } from "../src/server/tool.ts";
import { deploy } from "./deploy.ts";
import { enclaveInfo } from "./enclave-info.ts";
import { enclave } from "./enclave.ts";
import { logs } from "./logs.ts";
import { repair } from "./repair.ts";
import { rotate } from "./rotate.ts";
import { run } from "./run.ts";
import { secrets } from "./secrets.ts";
import { status } from "./status.ts";
import { undeploy } from "./undeploy.ts";

/** Every tool, in the order an agent meets them. At most ten: each costs every agent tokens in every conversation. */
export const tools: readonly Tool[] = [
  enclaveInfo,
  deploy,
  run,
  status,
  logs,
  rotate,
  repair,
  undeploy,
  secrets,
  enclave,
];
