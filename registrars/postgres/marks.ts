import { z } from "zod";
import { gatherMarks, identityOfMark } from "../../src/exoskeleton/marks.ts";
import type { Call, Mark } from "../../src/exoskeleton/registrar.ts";
import type { PostgresContext } from "./context.ts";

const rowsSchema = z.array(z.object({ item: z.string(), mark: z.string() }));

/** See `Registrar.marks`. The catalogs do not say how old a role or a schema is. */
export async function marks(
  { connector, installation }: PostgresContext,
  call: Call,
): Promise<readonly Mark[]> {
  const rows = await connector.asAdmin(
    call.signal,
    (sql) => sql`
      SELECT 'schema ' || nspname AS item, description AS mark
      FROM pg_description JOIN pg_namespace n ON n.oid = objoid
      WHERE classoid = 'pg_namespace'::regclass AND starts_with(description, 'tentacular:')
      UNION ALL
      SELECT CASE WHEN rolcanlogin THEN 'login ' ELSE 'role ' END || rolname, description
      FROM pg_shdescription JOIN pg_roles r ON r.oid = objoid
      WHERE classoid = 'pg_authid'::regclass AND starts_with(description, 'tentacular:')
      ORDER BY 1`,
  );
  return gatherMarks(
    rowsSchema.parse([...rows]).flatMap(({ item, mark }) => {
      const identity = identityOfMark(mark.replace(/:login$/, ""), installation);
      return identity === undefined ? [] : [{ identity, item }];
    }),
  );
}
