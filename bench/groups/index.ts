import type { Group } from "./group.ts";

/** All parts of the bench, in the order of the table. */
export const groups: readonly Group[] = [
  { name: "deploy", title: "deploys", load: () => import("./deploy.ts") },
  { name: "undeploy", title: "removal of much data", load: () => import("./undeploy.ts") },
  { name: "requests", title: "requests of each operation", load: () => import("./requests.ts") },
  { name: "start-up", title: "starts of the program", load: () => import("./start-up.ts") },
  {
    name: "growth",
    title: "the same with more and more tentacles present",
    load: () => import("./growth.ts"),
  },
  { name: "memory", title: "memory of the server", load: () => import("./memory.ts") },
  { name: "engine", title: "engines", load: () => import("./engine.ts") },
  { name: "size", title: "sizes", load: () => import("./size.ts") },
];
