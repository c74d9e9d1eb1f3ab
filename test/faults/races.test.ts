import { describeRaces } from "./races.ts";

await describeRaces("local", {
  held: ["deploy", "rotate", "undeploy", "undeploy --force"],
  pairs: [
    ["rotate", "deploy"],
    ["rotate", "rotate"],
    ["undeploy --force", "deploy"],
    ["undeploy --force", "rotate"],
    ["undeploy --force", "undeploy"],
    ["undeploy", "rotate"],
  ],
});
