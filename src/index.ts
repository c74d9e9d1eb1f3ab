/** The types a node imports: `import type { Context } from "tentacular"`. Types only: nothing runs from here. */
export type { Context, Dependency, NodeFunction, NodeLog } from "./engine/context.ts";
