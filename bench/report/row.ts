import { z } from "zod";

const againstSchema = z.object({
  /** `promised`, `bare`, or what else it is: `node -e 0`, `10 tentacles`. */
  name: z.string(),
  value: z.number(),
  /** The ratio of ours to this that is wanted, where one is. */
  goal: z.number().optional(),
});

const rowSchema = z.object({
  row: z.string(),
  unit: z.enum(["ms", "per s", "MiB", "KiB", "writes"]),
  ours: z.number(),
  /** First the stricter floor that keeps the promises, where there is one. */
  against: z.array(againstSchema).readonly(),
  /** More is better: of deploys per second. */
  more: z.boolean().optional(),
  /** What went wrong on the way: no goal is reached then. */
  error: z.string().optional(),
});

const detailSchema = z.object({
  title: z.string(),
  columns: z.array(z.string()).readonly(),
  rows: z.array(z.array(z.string()).readonly()).readonly(),
});

/** What a group found, as it comes from its process and is kept. */
export const findingsSchema = z.object({
  rows: z.array(rowSchema).readonly(),
  details: z.array(detailSchema).readonly(),
});

/** What ours is compared with. */
export type Against = Readonly<z.infer<typeof againstSchema>>;
/** One line of the table. */
export type Row = Readonly<z.infer<typeof rowSchema>>;
/** What a group found: lines of the table, and tables of their own for what is no line. */
export type Findings = Readonly<z.infer<typeof findingsSchema>>;

/** Ours as a share of what it is compared with. */
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
