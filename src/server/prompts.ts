import {
  completable,
  type GetPromptResult,
  type McpServer,
  type ServerContext,
} from "@modelcontextprotocol/server";
import * as z from "zod";
import type { CallContext } from "./call-tool.ts";
import type { Completions, Look } from "./look.ts";
import { cut } from "./text.ts";

const MAX_GOAL = 8_000;
const CAUSES = ": the state of a dependency, a drift, a node's error, the network a contract does not allow";
const MEND = [
  `Name the cause before you change anything${CAUSES}.`,
  "A drift or lost credentials: deploy the same again. A node's error: correct the node, deploy with dry_run: true, deploy, run.",
  "Never undeploy with force to mend something: it deletes the data.",
];

/** Offers the two beginnings of a conversation, each with what the installation says now. */
export function registerPrompts(
  server: McpServer,
  look: Look,
  completions: Completions,
  toCall: (context: ServerContext) => CallContext,
): void {
  const enclave = completable(
    z.string().describe("Enclave; the server's own without it"),
    completions.enclave,
  ).optional();

  // Nobody is led to what they may not do.
  const changes = look.has("deploy");
  if (look.has("enclave_info") && changes && look.has("run"))
    server.registerPrompt(
      "design_tentacle",
      {
        title: "Design a tentacle",
        description: "Writes a tentacle for a goal, for what this enclave offers, and deploys it.",
        argsSchema: z.object({ goal: z.string().describe("What it shall do"), enclave }),
      },
      async ({ goal, enclave: asked }, context) => {
        const where = asked === undefined || asked === "" ? {} : { enclave: asked };
        const info = await look.read("enclave_info", where, toCall(context));
        return message([
          "Design a tentacle for this goal, and deploy it:",
          cut(goal, MAX_GOAL),
          "",
          "What the enclave offers now (enclave_info):",
          info?.text ?? "",
          "",
          "Go on in this order:",
          "1. Decide nodes, edges and triggers; declare only dependencies that are available and needed.",
          "2. deploy with dry_run: true; correct everything it names; repeat until it plans without an error.",
          "3. Tell the person what would be made, and which secrets they must set with `tntc secrets set`.",
          "4. deploy; run it with an input that shows the goal; on a failure logs, correct the node, deploy again.",
        ]);
      },
    );

  if (look.has("status") && look.has("logs"))
    server.registerPrompt(
      "diagnose_tentacle",
      {
        title: "Diagnose a tentacle",
        description: "Finds out why a tentacle does not do what it should, from its state and its log.",
        argsSchema: z.object({
          name: completable(z.string().describe("The tentacle's name"), completions.name),
          enclave,
        }),
      },
      async ({ name, enclave: asked }, context) => {
        const what = { name, ...(asked !== undefined && asked !== "" && { enclave: asked }) };
        const call = toCall(context);
        const [state, log] = await Promise.all([
          look.read("status", { ...what, detail: true }, call),
          look.read("logs", what, call),
        ]);
        return message([
          `Find out what is wrong with the tentacle ${JSON.stringify(cut(name, 63))}, ${changes ? "and mend it." : "and tell the person."}`,
          "",
          "Its state (status with detail):",
          state?.text ?? "",
          "",
          "Its log (logs):",
          log?.text ?? "",
          "",
          ...(changes ? MEND : [`Name the cause${CAUSES}. Say what should be changed; you cannot.`]),
        ]);
      },
    );
}

function message(lines: readonly string[]): GetPromptResult {
  return { messages: [{ role: "user", content: { type: "text", text: lines.join("\n") } }] };
}
