import pLimit from "p-limit";
import { connect, eras, type TestClient } from "../mcp.ts";
import { createAsker } from "./asker.ts";
import { createMember, type Member } from "./member.ts";
import { createRandom } from "./random.ts";
import type { Tally } from "./tally.ts";
import { rights, type Tenant } from "./tenants.ts";
import type { World } from "./world.ts";

/** Many clients of one server at once. */
export interface Crowd {
  readonly members: readonly Member[];
  /** Each member acts, one thing after the other, until `isOver` says so of it. */
  act(isOver: (acts: number) => boolean): Promise<void>;
  /** Each member looks whether all is as it should be, after the others have ended. */
  checkEnd(): Promise<void>;
  close(): Promise<void>;
}

const DEPENDENCIES: readonly (readonly string[])[] = [
  ["tentacular-postgres"],
  [],
  ["tentacular-nats"],
  ["tentacular-postgres", "tentacular-nats"],
  ["tentacular-rustfs"],
  ["tentacular-postgres", "tentacular-nats", "tentacular-rustfs"],
];
const AT_ONCE = 16;

/** Connects `size` clients, in turn of each tenant, right and protocol era. */
export async function gather(
  world: World,
  url: string,
  tally: Tally,
  size: number,
  seed = 1,
): Promise<Crowd> {
  const clients: TestClient[] = [];
  const limit = pLimit(AT_ONCE);
  const members = await Promise.all(
    Array.from({ length: size }, (_, index) =>
      limit(async () => {
        const place = placeOf(world.tenants, index);
        const { tenant, right } = place;
        const era = eras[Math.floor(index / 3) % eras.length];
        const client = await connect({ kind: "http", url, token: tenant.tokens[right] }, era);
        clients.push(client);
        const mayTellOf = new Set(right === "deploy" ? [tenant.enclave, tenant.next] : [tenant.enclave]);
        const who = `${place.name} (${right})`;
        return createMember({
          ...place,
          asker: createAsker({ client, tally, who, mayTellOf, enclavesIn: world.enclavesIn }),
          dependencies: DEPENDENCIES[index % DEPENDENCIES.length] ?? [],
          peer: placeOf(world.tenants, peerOf(index, size, world.tenants.length)).name,
          random: createRandom(seed * 1_000 + index),
        });
      }),
    ),
  );
  return {
    members,
    async act(isOver) {
      await Promise.all(
        members.map(async (member) => {
          for (let acts = 0; !isOver(acts); acts++) await member.act();
        }),
      );
    },
    async checkEnd() {
      await Promise.all(members.map((member) => limit(async () => member.checkEnd())));
    },
    async close() {
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}

interface PlaceOf {
  readonly tenant: Tenant;
  readonly right: (typeof rights)[number];
  readonly name: string;
}

function placeOf(tenants: readonly Tenant[], index: number): PlaceOf {
  const tenant = tenants[index % tenants.length];
  const right = rights[Math.floor(index / tenants.length) % rights.length];
  if (tenant === undefined || right === undefined) throw new Error("no tenants");
  return { tenant, right, name: `m${String(index).padStart(3, "0")}-${tenant.enclave}` };
}

/** The next of the same tenant, or the first. */
function peerOf(index: number, size: number, tenants: number): number {
  return index + tenants < size ? index + tenants : index % tenants;
}
