import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

/** Numbers of the rows of docs/faults.md, by what stands in their last column. */
function rowsOf(page: string, proof: string): readonly number[] {
  return [...page.matchAll(/^\| (\d+) .*\| (\S+) +\|$/gm)]
    .filter(([, , cell]) => cell === proof)
    .map(([, number]) => Number(number));
}

/** Numbers in the titles of tests: `fault 18: …`, `faults 6, 7: …`. */
function numbersInTitles(): readonly number[] {
  const files = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" });
  const numbers = files
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => [
      ...readFileSync(join(root, "test", file), "utf8").matchAll(/\(["`]faults? (\d+(?:, \d+)*): /g),
    ])
    .flatMap(([, list = ""]) => list.split(", ").map(Number));
  return [...new Set(numbers)].sort((a, b) => a - b);
}

test("docs/faults.md says of each fault truly whether a test carries its number", () => {
  const page = readFileSync(join(root, "docs/faults.md"), "utf8");
  const tested = rowsOf(page, "test");
  const open = rowsOf(page, "_open_");
  expect(page.match(/^\| \d+ /gm)).toHaveLength(tested.length + open.length);
  expect(numbersInTitles()).toEqual(tested);
});
