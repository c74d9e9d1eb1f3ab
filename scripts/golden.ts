/**
 * Writes the tool list that servers announce, from the tools themselves, and the golden file that tests compare with what clients
 * get. Read the difference before committing it.
 */
import { writeFileSync } from "node:fs";
import { format, resolveConfig } from "prettier";
import { listTool } from "../src/server/tool-schema.ts";
import { listTools } from "../test/support/mcp.ts";
import { tools } from "../tools/index.ts";

const path = "tools/schemas/listed.ts";
const source = `import type { ListedTool } from "../../src/server/listed-tool.ts";

/** Every tool as \`tools/list\` shows it. Written by \`npm run golden\` from the tools themselves: change those. */
export const listed: readonly ListedTool[] = ${JSON.stringify(tools.map(listTool))};
`;
writeFileSync(path, await format(source, { ...(await resolveConfig(path)), filepath: path }));
writeFileSync("test/tools/golden/tools.json", `${JSON.stringify(await listTools(), null, 2)}\n`);
