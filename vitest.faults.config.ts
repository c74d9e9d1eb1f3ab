import { defineConfig } from "vitest/config";
import base, { reporters } from "./vitest.config.ts";

/** Faults (`npm run test:faults`): killed servers, races and backends that fail, with figures at the end. */
export default defineConfig({
  test: {
    ...base.test,
    include: ["test/faults/**/*.test.ts"],
    exclude: [],
    testTimeout: 120_000,
    maxConcurrency: 2,
    reporters: [...reporters, "./test/faults/figures-reporter.ts"],
  },
});
