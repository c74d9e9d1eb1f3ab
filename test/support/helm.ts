import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import { z } from "zod";

const run = promisify(execFile);

export const CHART = "charts/tentacular";

const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
});
/** An object that the chart renders. */
export type Rendered = z.output<typeof objectSchema>;

/** Why helm cannot be used here, or undefined when it can. Throws when it is required and missing. */
export async function helmMissing(): Promise<string | undefined> {
  try {
    await run("helm", ["version"]);
    return undefined;
  } catch {
    const reason = "helm is not on PATH";
    if ((process.env.TENTACULAR_TEST_REQUIRE ?? "").split(",").includes("helm"))
      throw new Error(`required test program is missing: ${reason}`);
    console.warn(`tests of the chart are skipped: ${reason}`);
    return reason;
  }
}

/** Runs helm; a refusal is thrown with all that it printed. */
export async function helm(args: readonly string[]): Promise<string> {
  try {
    return (await run("helm", args, { maxBuffer: 16 * 1024 * 1024 })).stdout;
  } catch (error) {
    const said = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    const printed = error instanceof Error && "stdout" in error ? String(error.stdout) : "";
    throw new Error(`helm ${args[0] ?? ""}: ${said}${printed}`, { cause: error });
  }
}

export interface RenderOptions {
  /** Files below test/chart/values. */
  readonly values?: readonly string[];
  /** As after `--set`. */
  readonly set?: readonly string[];
  /** As after `--set-json`. */
  readonly json?: readonly string[];
  readonly namespace?: string;
}

/** The objects that the chart makes of these values. */
export async function render({
  values = [],
  set = [],
  json = [],
  namespace = "tentacular",
}: RenderOptions): Promise<readonly Rendered[]> {
  const text = await helm([
    ...["template", "tentacular", CHART, "--namespace", namespace],
    ...values.flatMap((file) => ["--values", `test/chart/values/${file}`]),
    ...set.flatMap((one) => ["--set", one]),
    ...json.flatMap((one) => ["--set-json", one]),
  ]);
  return parseAllDocuments(text)
    .map((document) => {
      const object: unknown = document.toJS();
      return object;
    })
    .filter((object) => object !== null)
    .map((object) => objectSchema.parse(object));
}

/** The one object of a kind and, where there are several, a name. */
export function find(objects: readonly Rendered[], kind: string, name?: string): Rendered {
  const found = objects.filter(
    (object) => object.kind === kind && (name === undefined || object.metadata.name === name),
  );
  const [only] = found;
  if (only === undefined || found.length > 1)
    throw new Error(`${found.length} objects are ${kind} ${name ?? ""}`);
  return only;
}
