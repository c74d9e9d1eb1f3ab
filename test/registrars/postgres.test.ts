import { afterAll, beforeAll, inject } from "vitest";
import { describeRegistrar } from "./contract.ts";
import { createTestDatabase, describePostgres, type TestDatabase } from "./postgres-server.ts";

const server = inject("services").postgres;

for (const admin of ["createrole", "superuser"] as const) {
  let database: TestDatabase;
  const skip = server.available ? undefined : server.reason;
  if (server.available) {
    beforeAll(async () => {
      database = await createTestDatabase(server, admin);
    });
    afterAll(() => database.drop());
  }
  describeRegistrar({
    ...describePostgres(`postgres, admin is ${admin}`, () => database),
    ...(skip !== undefined && { skip }),
  });
}
