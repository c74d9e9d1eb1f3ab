/** Writes schema/workflow.schema.json from the shapes the parser checks with. */
import { mkdirSync, writeFileSync } from "node:fs";
import { format } from "prettier";
import { workflowJsonSchema } from "../src/tentacle/shape.ts";

const text = await format(JSON.stringify(workflowJsonSchema()), { parser: "json", printWidth: 110 });
mkdirSync("schema", { recursive: true });
writeFileSync("schema/workflow.schema.json", text);
