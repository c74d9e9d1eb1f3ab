import { inputRequired, inputResponse, type InputRequiredResult } from "@modelcontextprotocol/server";
import * as z from "zod";
import { Conflict, InvalidInput } from "../errors.ts";
import type { Confirmation } from "./tool.ts";

/** What the person has answered so far; present only where the client can ask one. */
export type PersonAnswers = Readonly<Record<string, unknown>>;

const KEY = "confirm";
const formSchema = z.object({ delete: z.boolean().default(false).describe("Delete it for good") });

/**
 * Before what cannot be undone: the argument must repeat the name, and where the client can ask its person, the person must
 * agree. Gives the question while it is open, nothing when the call may go on; throws when it may not.
 */
export function confirmed(
  tool: string,
  { argument, given, name, effect }: Confirmation,
  answers: PersonAnswers | undefined,
): InputRequiredResult | undefined {
  if (given !== name)
    throw new InvalidInput(`${tool} would ${effect}, and ${argument} does not repeat its name`, {
      path: argument,
      hint: `Only if the person asked for it: pass ${argument}: ${JSON.stringify(name)}. Nothing was done.`,
    });
  if (answers === undefined) return undefined;
  const answer = inputResponse(answers, KEY);
  if (answer.kind !== "elicit")
    return inputRequired({
      inputRequests: {
        [KEY]: inputRequired.elicit({
          message: `${tool} would ${effect}. This cannot be undone.`,
          requestedSchema: formSchema,
        }),
      },
    });
  if (answer.action === "accept" && formSchema.safeParse(answer.content).data?.delete === true)
    return undefined;
  throw new Conflict(`${tool} would ${effect}, and the person did not agree`, {
    path: argument,
    hint: "Nothing was done. Ask the person what to do instead; do not repeat the call unless they say so.",
  });
}
