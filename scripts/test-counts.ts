/** Prints "<passed> <failed>" of a vitest JSON report, for the last line of a CI run. */
import { readFileSync } from "node:fs";
import { z } from "zod";

const report = z
  .object({ numPassedTests: z.number(), numFailedTests: z.number(), numFailedTestSuites: z.number() })
  .parse(JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")));
// A file that could not even be loaded counts: it has no test to fail.
const failed = Math.max(report.numFailedTests, report.numFailedTestSuites);
console.log(`${report.numPassedTests} ${failed}`);
