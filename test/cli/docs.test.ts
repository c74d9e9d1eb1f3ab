import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { page, renderPage } from "../../scripts/cli-reference.ts";

it("docs/cli.md has every command, option and exit code as the program has them", async () => {
  // When it differs: node scripts/cli-reference.ts
  expect(await readFile(page, "utf8")).toBe(await renderPage());
});
