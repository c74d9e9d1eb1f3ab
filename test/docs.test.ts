import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { CONFIGURATION_PAGE, configurationPage } from "../scripts/configuration-docs.ts";

test("docs/configuration.md is what the settings say (npm run docs writes it)", async () => {
  expect(readFileSync(CONFIGURATION_PAGE, "utf8")).toBe(await configurationPage());
});
