import { defineConfig } from "vitest/config";
import base from "./vitest.config.ts";

/** The tests that need a cluster with a node (`npm run test:cluster`): real pods, one file at a time. */
export default defineConfig({
  test: {
    ...base.test,
    include: ["test/e2e/**/*.test.ts"],
    exclude: [],
    testTimeout: 180_000,
    fileParallelism: false,
  },
});
