/**
 * A node that queries Postgres for so many milliseconds, and says how often that failed and as whom it was let in; with pauses
 * between the queries where others need the machine too.
 */
export function busyNode(ms: number, { pauseMs }: { readonly pauseMs?: number } = {}): string {
  const pause =
    pauseMs === undefined ? "" : `await new Promise((resolve) => setTimeout(resolve, ${pauseMs}));`;
  return `export default async (ctx) => {
  const { sql } = ctx.dependency("tentacular-postgres");
  const counts = { asked: 0, failed: 0, problems: [], logins: [] };
  const until = Date.now() + ${ms};
  while (Date.now() < until) {
    counts.asked++;
    try {
      const [row] = await sql\`select session_user as login\`;
      if (!counts.logins.includes(row.login)) counts.logins.push(row.login);
    } catch (error) {
      counts.failed++;
      counts.problems.push(String(error));
    }
    ${pause}
  }
  return counts;
};
`;
}
