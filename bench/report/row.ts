/** What ours is compared with. */
export interface Against {
  /** `promised`, `bare`, or what else it is: `node -e 0`, `10 tentacles`. */
  readonly name: string;
  readonly value: number;
  /** The ratio of ours to this that is wanted, where one is. */
  readonly goal?: number;
}

/** One line of the table. Plain JSON, as it comes from another process. */
export interface Row {
  readonly group: string;
  readonly row: string;
  readonly unit: "ms" | "per s" | "MiB" | "writes";
  readonly ours: number;
  /** First the stricter floor that keeps the promises, where there is one. */
  readonly against: readonly Against[];
  /** More is better: of deploys per second. */
  readonly more?: boolean;
  /** What went wrong on the way: no goal is reached then. */
  readonly error?: string;
}

/** A table of its own, for what is no row: the requests of each operation. */
export interface Detail {
  readonly title: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What a group found. */
export interface Findings {
  readonly rows: readonly Row[];
  readonly details: readonly Detail[];
}

export function ratio({ ours }: Row, { value }: Against): number {
  return ours / value;
}

/** Is the goal reached? Undefined where there is none. */
export function isMet(row: Row, against: Against): boolean | undefined {
  if (against.goal === undefined) return undefined;
  if (row.error !== undefined) return false;
  const found = ratio(row, against);
  return row.more === true ? found >= against.goal : found <= against.goal;
}
