import { describe, expect, it } from "vitest";
import { tools } from "../../tools/index.ts";
import { callAndAnswer, type PersonAnswer } from "../support/asking.ts";
import { noOperations } from "../support/fixture-tools.ts";
import { connect, type Era, eras, testService } from "../support/mcp.ts";

/** A service that notes what was destroyed, and which undeploys nothing for real. */
function noting() {
  const destroyed: string[] = [];
  const service = testService({
    tools,
    host: async () => ({
      operations: {
        ...noOperations,
        undeploy: async ({ name, force = false }) => {
          destroyed.push(name);
          const nothing = { operation: "op", steps: [], removed: [], retained: [], failed: [] };
          return { enclave: "local", name, force, ...nothing, next: "Done." };
        },
        deprovisionEnclave: async ({ enclave }) => {
          destroyed.push(enclave);
          return { enclave, removed: [], failed: [], next: "Done." };
        },
      },
    }),
  });
  return { destroyed, service };
}

/** Undeploys with a client that can ask its person, who answers so. */
async function ask(era: Era, answer: PersonAnswer, args: Record<string, unknown>) {
  const { destroyed, service } = noting();
  const call = { name: "undeploy", arguments: args };
  return { ...(await callAndAnswer(era, { kind: "memory", service }, answer, call)), destroyed };
}

describe.each(eras)("a client of the %s protocol that can ask its person", (era) => {
  const args = { name: "ledger", force: "ledger" };

  it("asks once, and goes on when the person agrees", async () => {
    const { result, destroyed, questions } = await ask(
      era,
      { action: "accept", content: { delete: true } },
      args,
    );
    expect(questions).toEqual(["undeploy would delete ledger and all its data. This cannot be undone."]);
    expect(result.isError).not.toBe(true);
    expect(destroyed).toEqual(["ledger"]);
  });

  it("names the enclave that the call names", async () => {
    const { questions } = await ask(era, { action: "decline" }, { ...args, enclave: "production" });
    expect(questions).toEqual([
      "undeploy would delete ledger in enclave production and all its data. This cannot be undone.",
    ]);
  });

  const refusals: readonly PersonAnswer[] = [
    { action: "decline" },
    { action: "cancel" },
    { action: "accept", content: { delete: false } },
    { action: "accept", content: { deleted: true } },
  ];
  it.each(refusals)("destroys nothing when the person answers %o", async (answer) => {
    const { result, destroyed, questions } = await ask(era, answer, args);
    expect(questions).toHaveLength(1);
    expect(result).toMatchObject({ isError: true, structuredContent: { code: "conflict", path: "force" } });
    expect(destroyed).toEqual([]);
  });

  it("does not ask when the argument does not repeat the name", async () => {
    const { result, destroyed, questions } = await ask(
      era,
      { action: "accept", content: { delete: true } },
      { name: "ledger", force: "true" },
    );
    expect(questions).toEqual([]);
    expect(result).toMatchObject({ structuredContent: { code: "invalid_input", path: "force" } });
    expect(destroyed).toEqual([]);
  });

  it("does not ask about what keeps the data", async () => {
    const { destroyed, questions } = await ask(era, { action: "decline" }, { name: "ledger" });
    expect(questions).toEqual([]);
    expect(destroyed).toEqual(["ledger"]);
  });
});

describe.each(eras)("a client of the %s protocol that cannot ask", (era) => {
  it("goes on when the argument repeats the name, and is told so when it does not", async () => {
    const { destroyed, service } = noting();
    const client = await connect({ kind: "memory", service }, era);
    for (const force of ["", "yes", "Ledger", "ledger "]) {
      const refused = await client.call("undeploy", { name: "ledger", force });
      expect(refused).toMatchObject({ isError: true, structured: { code: "invalid_input", path: "force" } });
      expect(refused.text).toContain('pass force: "ledger"');
    }
    expect(await client.call("undeploy", { name: "ledger", force: true })).toMatchObject({ isError: true });
    expect(
      await client.call("enclave", { action: "deprovision", enclave: "team-a", force: "ledger" }),
    ).toMatchObject({ structured: { code: "invalid_input", path: "force" } });
    expect(destroyed).toEqual([]);
    expect(await client.call("undeploy", { name: "ledger", force: "ledger" })).toMatchObject({
      isError: false,
    });
    await client.call("enclave", { action: "deprovision", enclave: "team-a", force: "team-a" });
    expect(destroyed).toEqual(["ledger", "team-a"]);
    await client.close();
  });
});
