/** Writes the golden files that tests compare with. Read the difference before committing it. */
import { writeFileSync } from "node:fs";
import { listTools } from "../test/support/mcp.ts";

writeFileSync("test/tools/golden/tools.json", `${JSON.stringify(await listTools(), null, 2)}\n`);
