/**
 * The object store's registrar against the same requests made by hand, on a real RustFS, as ratios within one run: register, inspect and
 * unregister; and the removal of many objects against its floor, the DeleteObjects calls alone.
 * `npm run bench:storage [-- objects]`, 20,000 objects unless said.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeleteObjectsCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import pLimit from "p-limit";
import { createTenant } from "../registrars/rustfs/tenant.ts";
import { findBinary } from "../src/embedded/binaries.ts";
import { freePort } from "../src/embedded/port.ts";
import { rustfsBinary, startRustfs } from "../src/embedded/rustfs.ts";
import type { Call, Registrar } from "../src/exoskeleton/registrar.ts";
import { createIdentity, type Identity } from "../src/tentacle/identity.ts";
import { s3As, type Store } from "../test/support/object-store.ts";
import { createRustfs } from "../test/support/rustfs-registrar.ts";
import { whereToFind } from "../test/support/services.ts";
import { median, printTable, say, timed } from "./measure.ts";
import { createHand, type Hand } from "./storage-by-hand.ts";

const ROUNDS = 15;
const IN_FLIGHT = 4;
const BATCH = 1_000;

class Times {
  readonly ours: number[] = [];
  readonly byHand: number[] = [];
}

interface Row {
  readonly what: string;
  readonly ours: number;
  readonly byHand: number;
}

const objects = Number(process.argv[2] ?? 20_000);
const folder = await mkdtemp(join(tmpdir(), "tentacular-bench-"));
const { path } = await findBinary(rustfsBinary, { ...whereToFind(), onProgress: say });
const server = await startRustfs({
  dataDir: folder,
  logFile: join(folder, "rustfs.log"),
  binary: path,
  port: await freePort(),
});
try {
  const { endpoint, accessKey, secretKey } = server;
  const store: Store = { endpoint, accessKey, secretKey, bucket: "bench" };
  const registrar = await createRustfs(store);
  const rows = [
    ...(await operations(registrar, createHand(store))),
    await removal(registrar, store, objects),
  ];
  await registrar.close();
  print(rows);
} finally {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
}

/** Medians of each operation, ours and by hand in turn, so that both see the same machine. */
async function operations(registrar: Registrar, hand: Hand): Promise<readonly Row[]> {
  const names = ["register (new)", "register (unchanged)", "inspect", "unregister"] as const;
  const times = names.map(() => new Times());
  for (let round = -2; round < ROUNDS; round++) {
    const [ours, byHand] = [
      createIdentity("bench", `ours-${round + 2}`),
      createIdentity("bench", `hand-${round + 2}`),
    ];
    say(`round ${round + 3} of ${ROUNDS + 2}`);
    const registration = {
      ours: await registered(registrar, ours),
      byHand: await hand.register(tenantOf(byHand)),
    };
    const steps = [
      [() => registration.ours.ms, () => registration.byHand.ms],
      [
        () => timed(() => registrar.register(ours, registration.ours.credentials, call())),
        () => timed(() => hand.check(tenantOf(byHand), registration.byHand.keys)),
      ],
      [
        () => timed(() => registrar.inspect(ours, registration.ours.credentials, call())),
        () => timed(() => hand.inspect(tenantOf(byHand), registration.byHand.keys)),
      ],
      [
        () => timed(() => registrar.unregister(ours, { data: "delete" }, call())),
        () => timed(() => hand.unregister(tenantOf(byHand), registration.byHand.keys)),
      ],
    ] as const;
    for (const [index, [our, their]] of steps.entries()) {
      const [ourTime, theirTime] = [await our(), await their()];
      // The first rounds warm both up.
      if (round < 0) continue;
      times[index]?.ours.push(ourTime);
      times[index]?.byHand.push(theirTime);
    }
  }
  return names.map((what, index) => ({
    what,
    ours: median(times[index]?.ours ?? []),
    byHand: median(times[index]?.byHand ?? []),
  }));
}

async function registered(registrar: Registrar, identity: Identity) {
  const started = performance.now();
  const { credentials } = await registrar.register(identity, undefined, call());
  return { credentials, ms: performance.now() - started };
}

/** The floor is timed before and after, half the objects each, as the store slows down with what it holds. */
async function removal(registrar: Registrar, store: Store, count: number): Promise<Row> {
  const client = s3As(store);
  const ours = createIdentity("bench", "many");
  await registrar.register(ours, undefined, call());
  const half = Math.ceil(count / 2);
  const keys = {
    before: await fill(client, store, "floor-1/", half),
    ours: await fill(client, store, tenantOf(ours).prefix, count),
    after: await fill(client, store, "floor-2/", count - half),
  };
  const before = await timed(() => deleteKnown(client, store, keys.before));
  const our = await timed(() => registrar.unregister(ours, { data: "delete" }, call()));
  const after = await timed(() => deleteKnown(client, store, keys.after));
  return { what: `unregister with ${count} objects`, ours: our, byHand: before + after };
}

async function fill(
  client: S3Client,
  { bucket }: Store,
  prefix: string,
  count: number,
): Promise<readonly string[]> {
  say(`writing ${count} objects below ${prefix}`);
  const limit = pLimit(32);
  const keys = Array.from({ length: count }, (_, index) => `${prefix}object-${index}`);
  await Promise.all(
    keys.map((Key) => limit(() => client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "x" })))),
  );
  return keys;
}

async function deleteKnown(client: S3Client, { bucket }: Store, keys: readonly string[]): Promise<void> {
  const limit = pLimit(IN_FLIGHT);
  const batches = Array.from({ length: Math.ceil(keys.length / BATCH) }, (_, index) =>
    keys.slice(index * BATCH, (index + 1) * BATCH),
  );
  await Promise.all(
    batches.map((batch) =>
      limit(() =>
        client.send(
          new DeleteObjectsCommand({
            Bucket: bucket,
            Delete: { Quiet: true, Objects: batch.map((Key) => ({ Key })) },
          }),
        ),
      ),
    ),
  );
}

function tenantOf(identity: Identity) {
  return createTenant(identity, "test");
}

function call(): Call {
  return { signal: AbortSignal.timeout(600_000) };
}

function print(rows: readonly Row[]): void {
  printTable(
    ["operation", "ours", "by hand", "ratio"],
    rows.map(({ what, ours, byHand }) => [
      what,
      `${ours.toFixed(1)} ms`,
      `${byHand.toFixed(1)} ms`,
      (ours / byHand).toFixed(2),
    ]),
  );
}
