import { configDefaults, defineConfig } from "vitest/config";

/** Where CI wants the counts of a run as JSON. */
const report = process.env.TENTACULAR_TEST_REPORT;

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // They need a cluster with a node: vitest.cluster.config.ts.
    exclude: [...configDefaults.exclude, "test/e2e/**"],
    globalSetup: ["test/support/global-setup.ts"],
    // Real servers on two cores: one slow start must not look like a failure.
    testTimeout: 60_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 45_000 } },
    pool: "forks",
    maxWorkers: 2,
    retry: 0,
    reporters: report === undefined ? ["default"] : ["default", ["json", { outputFile: report }]],
  },
});
