import { describeKills } from "./kills.ts";
import { scenarios } from "./stage.ts";

await describeKills(scenarios.rotate, "Kubernetes");
