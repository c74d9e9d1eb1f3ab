import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

/** Numbers of the rows of docs/faults.md. */
function rowsOf(page: string): readonly number[] {
  return [...page.matchAll(/^\| (\d+) /gm)].map(([, number]) => Number(number));
}

/** Numbers in the titles of tests: `fault 18: …`, `faults 6, 7: …`. */
function numbersInTitles(): readonly number[] {
  const files = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" });
  const numbers = files
    .filter((file) => file.endsWith(".ts"))
    .flatMap((file) => [
      ...readFileSync(join(root, "test", file), "utf8").matchAll(
        /(?:\(|^\s+)["`]faults? (\d+(?:, \d+)*): /gm,
      ),
    ])
    .flatMap(([, list = ""]) => list.split(", ").map(Number));
  return [...new Set(numbers)].sort((a, b) => a - b);
}

test("every fault of docs/faults.md has a test of its number, and every number a line there", () => {
  expect(numbersInTitles()).toEqual(rowsOf(readFileSync(join(root, "docs/faults.md"), "utf8")));
});
