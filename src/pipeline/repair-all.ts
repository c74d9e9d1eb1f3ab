import { type TentacularError, toTentacularError } from "../errors.ts";
import {
  type OperationCall,
  type Operations,
  partOf,
  type RepairAllResult,
  type RepairedTentacle,
  type RepairResult,
  type StepTiming,
  type TentacleSummary,
} from "./operations.ts";

const PAGE = 200;

/**
 * Repairs, one after another, every tentacle of an enclave of which an operation was interrupted or something differs, and
 * goes on past those that fail; `onError` gets why. It ends with its caller, after the tentacle that it is at: the last that it
 * tells of each tentacle is what came of it, so that an early end hides nothing.
 */
export async function repairAll(
  operations: Pick<Operations, "list" | "repair">,
  request: { readonly enclave?: string },
  call: OperationCall,
  onError: (error: TentacularError) => void,
): Promise<RepairAllResult> {
  const { enclave, tentacles } = await listAll(operations, request, call);
  const steps: StepTiming[] = [];
  const touched: RepairedTentacle[] = [];
  const busy = tentacles.filter(({ state }) => state === "running").map(({ name }) => name);
  const candidates = tentacles.filter(({ state }) => state !== "running" && state !== "retained");
  for (const [index, { name }] of candidates.entries()) {
    call.signal.throwIfAborted();
    const event = { step: name, index, total: candidates.length };
    call.progress?.(event);
    const started = performance.now();
    try {
      const result = await operations.repair(
        { enclave, name, ifNeeded: true },
        {
          ...partOf(call),
          progress: ({ step, message }) =>
            call.progress?.({ ...event, message: message === undefined ? step : `${step}: ${message}` }),
        },
      );
      if (isTouched(result)) touched.push(picked(result));
      call.progress?.({ ...event, message: outcomeOf(result) });
    } catch (thrown) {
      call.signal.throwIfAborted();
      const error = toTentacularError(thrown, `repairing ${name}`);
      onError(error);
      const problem = `${error.message}. ${error.hint}`;
      touched.push({ name, unfinished: "none", mended: [], failed: [{ item: "repair", problem }] });
      call.progress?.({ ...event, message: `not repaired: ${error.message}` });
    }
    steps.push({ step: name, ms: Math.round(performance.now() - started) });
  }
  return { enclave, steps, tentacles: touched, next: nextStep(candidates.length, touched, busy) };
}

async function listAll(
  operations: Pick<Operations, "list">,
  request: { readonly enclave?: string },
  call: OperationCall,
): Promise<{ readonly enclave: string; readonly tentacles: readonly TentacleSummary[] }> {
  const tentacles: TentacleSummary[] = [];
  let cursor: string | undefined;
  for (;;) {
    const page = await operations.list(
      { ...request, limit: PAGE, ...(cursor !== undefined && { cursor }) },
      call,
    );
    tentacles.push(...page.tentacles);
    cursor = page.next;
    if (cursor === undefined) return { enclave: page.enclave, tentacles };
  }
}

function isTouched({ unfinished, mended, failed }: RepairResult): boolean {
  return unfinished !== "none" || mended.length > 0 || failed.length > 0;
}

function outcomeOf({ unfinished, mended, failed }: RepairResult): string {
  const parts = [
    ...(unfinished === "none" ? [] : [`an interrupted operation was ${unfinished}`]),
    ...(mended.length === 0 ? [] : [`mended ${mended.join(", ")}`]),
    ...failed.map(({ item, problem }) => `failed ${item}: ${problem}`),
  ];
  return parts.length === 0 ? "nothing differed" : parts.join("; ");
}

function picked({ name, unfinished, mended, failed }: RepairResult): RepairedTentacle {
  return { name, unfinished, mended, failed };
}

function nextStep(looked: number, touched: readonly RepairedTentacle[], busy: readonly string[]): string {
  const failed = touched.filter((one) => one.failed.length > 0).length;
  const mended = touched.length - failed;
  return [
    `${[
      `${looked} ${looked === 1 ? "tentacle" : "tentacles"} looked at`,
      ...(mended > 0 ? [`${mended} mended`] : []),
      ...(failed > 0 ? [`${failed} not whole`] : []),
    ].join(", ")}.`,
    ...(busy.length === 0 ? [] : [`An operation is at ${busy.join(", ")}: left alone.`]),
    failed === 0
      ? "Nothing is left to do."
      : "Mend what each says, then repeat the call: it goes on with those.",
  ].join(" ");
}
