import { connect } from "../mcp.ts";
import { answers } from "./answers.ts";
import type { World } from "./world.ts";

/** Removes every tentacle of every tenant with its data, as whoever may; the services outlive the world. */
export async function clear({ tenants }: World, url: string): Promise<void> {
  for (const { enclave, tokens } of tenants) {
    const client = await connect({ kind: "http", url, token: tokens.destroy });
    const { structured } = await client.call("status", { enclave, limit: 500 });
    for (const { name } of answers.list.parse(structured).tentacles) {
      const result = await client.call("undeploy", { enclave, name, force: name });
      if (result.isError) throw new Error(result.text);
    }
    await client.close();
  }
}
