import type { RunResult } from "../../src/pipeline/operations.ts";
import { dataBlock, plain } from "../../src/server/text.ts";

const MAX_RESULT = 3_600;

/** The result, or where and why it failed. */
export function runText(result: RunResult): string {
  const { name, durationMs, nodes } = result;
  const took = `${Math.round(durationMs)} ms`;
  const timings = nodes.map(({ node, ok, attempts, durationMs: ms }) => {
    const tries = attempts > 1 ? `, ${attempts} attempts` : "";
    return `${node} ${ok ? "ok" : "failed"} ${Math.round(ms)} ms${tries}`;
  });
  const nodeLine = nodes.length === 0 ? [] : [`Nodes: ${plain(timings.join("; "), 800)}`];
  if (result.ok)
    return [
      `${name} ran in ${took}.`,
      ...nodeLine,
      dataBlock(
        "Result",
        result.result === undefined ? "(none)" : JSON.stringify(result.result, null, 1),
        MAX_RESULT,
      ),
    ].join("\n");
  const { node, message, hint } = result.error;
  return [
    `${name} failed after ${took}${node === undefined ? "" : ` in node ${plain(node, 100)}`}.`,
    ...nodeLine,
    // The hint too: it is the engine's, but the node's process wrote it.
    dataBlock("Error", hint === undefined ? message : `${message}\nHint: ${hint}`, MAX_RESULT),
    `Next: correct the node, or the contract as the error says; deploy and run again. logs with name ${JSON.stringify(name)} tells more.`,
  ].join("\n");
}
