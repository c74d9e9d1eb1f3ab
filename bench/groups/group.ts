import type { Findings } from "../report/row.ts";

/** How a group is to be run. */
export interface GroupOptions {
  /** Fewer rounds and smaller sizes: all groups together in under three minutes. */
  readonly quick: boolean;
}

/** Some rows of the table that are measured together, in a process of their own. */
export interface Group {
  readonly name: string;
  readonly title: string;
  /** Loaded in that process alone: what is imported costs time and memory that others measure. */
  readonly load: () => Promise<{ readonly run: (options: GroupOptions) => Promise<Findings> }>;
}
