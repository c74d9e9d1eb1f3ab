import type { Tentacle } from "./tentacle.ts";

interface Graph {
  readonly nodes: readonly string[];
  readonly edges: readonly { readonly from: string; readonly to: string }[];
}

/**
 * The nodes in running order: those of one stage run in parallel, each stage after the one before. A node stands in the
 * first stage that all its upstream nodes allow, in the order it is written.
 */
export function stagesOf(tentacle: Tentacle): readonly (readonly string[])[] {
  return layers({ nodes: Object.keys(tentacle.nodes), edges: tentacle.edges }).stages;
}

/** A cycle as the list of its nodes, the first again at the end; undefined when there is none. */
export function findCycle(graph: Graph): readonly string[] | undefined {
  // What no stage takes lies on a cycle or behind one: going upstream from there always ends in a circle.
  const { rest } = layers(graph);
  const upstream = new Map<string, string>();
  for (const { from, to } of graph.edges) if (rest.has(from) && rest.has(to)) upstream.set(to, from);
  const [start] = upstream.keys();
  if (start === undefined) return undefined;
  const seen = new Map<string, number>();
  const walk: string[] = [];
  let node = start;
  while (!seen.has(node)) {
    seen.set(node, walk.length);
    walk.push(node);
    node = upstream.get(node) ?? node;
  }
  const circle = walk.slice(seen.get(node)).reverse();
  return [...circle.slice(-1), ...circle];
}

function layers(graph: Graph): {
  readonly stages: readonly (readonly string[])[];
  readonly rest: Set<string>;
} {
  const rest = new Set(graph.nodes);
  const waiting = new Map<string, number>(graph.nodes.map((node) => [node, 0]));
  const downstream = new Map<string, string[]>(graph.nodes.map((node) => [node, []]));
  for (const { from, to } of graph.edges) {
    waiting.set(to, (waiting.get(to) ?? 0) + 1);
    downstream.get(from)?.push(to);
  }
  const stages: string[][] = [];
  let stage = graph.nodes.filter((node) => waiting.get(node) === 0);
  while (stage.length > 0) {
    stages.push(stage);
    const freed = new Set<string>();
    for (const node of stage) {
      rest.delete(node);
      for (const next of downstream.get(node) ?? []) {
        const left = (waiting.get(next) ?? 0) - 1;
        waiting.set(next, left);
        if (left === 0) freed.add(next);
      }
    }
    stage = graph.nodes.filter((node) => freed.has(node));
  }
  return { stages, rest };
}
