import pLimit from "p-limit";
import { connect } from "../mcp.ts";
import { answers } from "./answers.ts";
import type { World } from "./world.ts";

const AT_ONCE = 8;

/** Removes every tentacle of every tenant with its data, as whoever may; the services outlive the world. */
export async function clear({ tenants }: World, url: string): Promise<void> {
  const limit = pLimit(AT_ONCE);
  const clearOne = async ({ enclave, tokens }: World["tenants"][number]): Promise<void> => {
    const client = await connect({ kind: "http", url, token: tokens.destroy });
    const { structured } = await client.call("status", { enclave, limit: 500 });
    await Promise.all(
      answers.list.parse(structured).tentacles.map(({ name }) =>
        limit(async () => {
          const result = await client.call("undeploy", { enclave, name, force: name });
          if (result.isError) throw new Error(result.text);
        }),
      ),
    );
    await client.close();
  };
  await Promise.all(tenants.map(clearOne));
}
