import { listed } from "../tools/schemas/listed.ts";
import type { ToolSet } from "./server/listed-tool.ts";

/** The tools without the platform: what a server announces before anything heavy is loaded. */
export const tools: ToolSet = {
  listed,
  load: async () => (await import("../tools/index.ts")).tools,
};
