import { configDefaults, defineConfig } from "vitest/config";

/** Where CI wants the counts of a run as JSON. */
const report = process.env.TENTACULAR_TEST_REPORT;

export const reporters: ["default", ...["json", { outputFile: string }][]] =
  report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]];

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // A cluster with a node: vitest.cluster.config.ts. Killed servers, races, dead backends: vitest.faults.config.ts.
    exclude: [...configDefaults.exclude, "test/e2e/**", "test/faults/**"],
    globalSetup: ["test/support/global-setup.ts"],
    // Real servers on two cores: one slow start must not look like a failure.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 45_000 } },
    pool: "forks",
    maxWorkers: 2,
    retry: 0,
    reporters,
  },
});
