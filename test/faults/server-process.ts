/** A server of its own process that does one operation and can end itself, as by SIGKILL, wherever it is told to. */
import { createPlatform } from "../../src/platform.ts";
import { goOnSchema, orderSchema, type Told } from "./orders.ts";
import { PATIENT } from "./patient.ts";
import { watchWire } from "./wire-points.ts";

const tell = (told: Told): void => {
  process.send?.(told);
};

const [stateDir] = process.argv.slice(2);
const passed = new Set<string>();
let dieAt: string | undefined;
let holdAt: string | undefined;
let goOn: (() => void) | undefined;
let step: string | undefined;

/** What is repeated within a step (a request that is sent again) is one point. */
function at(point: string): void {
  if (passed.has(point)) return;
  passed.add(point);
  if (point === dieAt) process.kill(process.pid, "SIGKILL");
  tell({ point });
}

watchWire((edge, what) => {
  if (step !== undefined) at(`${edge} ${what} in ${step}`);
});
const platform = await createPlatform({
  ...(stateDir !== undefined && { stateDir }),
  deadlines: PATIENT,
  async observer(edge, name) {
    const point = `${edge} ${name}`;
    // Told to wait before it tells that it is there, so that no word to go on comes too early.
    const held =
      holdAt === "*" || holdAt === point ? new Promise<void>((resolve) => (goOn = resolve)) : undefined;
    at(point);
    step = edge === "before" ? name : undefined;
    await held;
  },
});

process.on("message", (message) => {
  if (goOnSchema.safeParse(message).success) goOn?.();
  else void work(message);
});
tell({ ready: true });

async function work(message: unknown): Promise<void> {
  const order = orderSchema.parse(message);
  ({ dieAt, holdAt } = order);
  const { operations } = platform;
  const call = { signal: new AbortController().signal };
  try {
    if (order.operation === "deploy") await operations.deploy(order.request, call);
    else if (order.operation === "rotate") await operations.rotate(order.request, call);
    else await operations.undeploy(order.request, call);
    tell({ ended: true });
  } catch (error) {
    tell({ failed: error instanceof Error ? `${error.name}: ${error.message}` : String(error) });
  }
  await platform.close();
  process.disconnect();
}
