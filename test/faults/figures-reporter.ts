import type { Reporter, TestCase, TestModule } from "vitest/node";
import "./figures.ts";

/** Prints what the tests of a run counted, summed; a figure that must be 0 and is not fails the run. */
export default class FiguresReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const sum = (pick: (test: TestCase) => number | undefined): number =>
      tests.reduce((total, test) => total + (pick(test) ?? 0), 0);
    const mustBeZero = {
      orphans: sum((test) => test.meta().figures?.orphans),
      leaks: sum((test) => test.meta().figures?.leaks),
      "wrong exits": sum((test) => test.meta().figures?.wrongExits),
      "failed client queries in rotation": sum((test) => test.meta().figures?.failedQueries),
    };
    const figures = {
      cases: tests.filter((test) => test.result().state !== "skipped").length,
      "kill points": sum((test) => test.meta().figures?.killPoints),
      ...mustBeZero,
    };
    const text = Object.entries(figures).map(([name, value]) => `${name} ${value}`);
    console.log(`faults: ${text.join(", ")}`);
    if (Object.values(mustBeZero).some((value) => value !== 0)) process.exitCode = 1;
  }
}
