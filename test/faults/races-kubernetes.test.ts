import { describeRaces } from "./races.ts";

// The lock is another there, and nothing else: one operation of each kind that it has to hold against.
await describeRaces("Kubernetes", {
  held: ["deploy"],
  pairs: [
    ["undeploy --force", "deploy"],
    ["rotate", "undeploy"],
  ],
});
