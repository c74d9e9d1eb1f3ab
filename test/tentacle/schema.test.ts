import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, test } from "vitest";
import { parseWorkflow } from "../../src/tentacle/parse.ts";
import { workflowJsonSchema } from "../../src/tentacle/shape.ts";
import { parseYaml, valueOf } from "../../src/tentacle/yaml.ts";

const validate = new Ajv2020({ strict: false }).compile(workflowJsonSchema());

/** What the schema says and what the parser says of one text. */
function verdicts(text: string): { readonly schema: boolean; readonly parser: boolean } {
  const value = valueOf(parseYaml(text, { name: "text", maxBytes: 100_000, maxKeys: 1_000 }).root);
  let parser = true;
  try {
    parseWorkflow(text);
  } catch {
    parser = false;
  }
  return { schema: validate(value), parser };
}

const base = "name: a\nversion: 1.0\nnodes: { a: { path: a.ts } }\n";

describe("the JSON Schema for editors", () => {
  test("is the one checked in (npm run schema rewrites it)", () => {
    expect(JSON.parse(readFileSync("schema/workflow.schema.json", "utf8"))).toEqual(workflowJsonSchema());
  });

  test.each([
    "",
    "triggers:\nedges:\nconfig:\nmetadata:\ncontract:\n",
    "triggers: { type: cron, schedule: 0 9 * * * }\nmetadata: { tags: one }\nfuture: [1]\n",
    "contract: { version: 1, dependencies: { tentacular-postgres: , tentacular-nats: { protocol: nats }, w: { protocol: https, host: a, extra: 1 } } }\n",
    "contract: { dependencies: { d: { type: dynamic-target, cidr: 10.0.0.0/8, dynPorts: 443 }, m: { protocol: npm, host: x, version: 1.0 } } }\n",
  ])("accepts what the parser accepts: %j", (text) => {
    expect(verdicts(base + text)).toEqual({ schema: true, parser: true });
  });

  test.each([
    "triggers: [{ type: cron }]\n",
    "triggers: [{ type: crno, schedule: x }]\n",
    "edges: [{ from: a }]\n",
    "config: { retries: many }\n",
    "sidecars: [{ name: x }]\n",
    "contract: { dependencies: { w: } }\n",
    "contract: { dependencies: { w: { protocol: https } } }\n",
    "contract: { dependencies: { w: { protocol: https, host: a, port: 0 } } }\n",
    "contract: { dependencies: { tentacular-nats: [1] } }\n",
    "contract: { dependencies: { tentacular-nats: { host: a } } }\n",
  ])("refuses what the parser refuses: %j", (text) => {
    expect(verdicts(base + text)).toEqual({ schema: false, parser: false });
  });
});
