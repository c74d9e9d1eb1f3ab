/** One service that a new tentacle can begin with: the node that shows how it is used. */
export interface Part {
  readonly dependency: string;
  readonly node: string;
  readonly description: string;
  /** A comment behind the dependency in workflow.yaml. */
  readonly note: string;
  readonly source: string;
}

/** By the word that `tntc init --with` takes. */
export const parts: Readonly<Record<string, Part>> = {
  postgres: {
    dependency: "tentacular-postgres",
    node: "store",
    description: "Stores the greeting and counts all there are",
    note: "a schema of its own",
    source: `import type { Context } from "tentacular";
import type { Greeting } from "./greet.ts";

/** Its input is the result of the node before it. */
export default async function store(ctx: Context, input: Greeting) {
  // A ready client whose search path is this tentacle's own schema: make tables, but no schema.
  const { sql } = ctx.dependency("tentacular-postgres");
  await sql\`
    create table if not exists greetings (
      id bigint generated always as identity primary key,
      greeting text not null,
      at timestamptz not null default now()
    )\`;
  await sql\`insert into greetings (greeting) values (\${input.greeting})\`;
  const [row] = await sql<{ stored: number }[]>\`select count(*)::int as stored from greetings\`;
  return { ...input, stored: row?.stored ?? 0 };
}
`,
  },
  nats: {
    dependency: "tentacular-nats",
    node: "publish",
    description: "Publishes it on a subject of its own",
    note: "an account and subjects of its own",
    source: `import type { Context } from "tentacular";
import type { Greeting } from "./greet.ts";

export default async function publish(ctx: Context, input: Greeting) {
  const nats = ctx.dependency("tentacular-nats");
  const connection = await nats.connect(); // shared by all nodes, closed for them
  const published = \`\${nats.subject}greetings\`; // every subject begins with the tentacle's own prefix
  connection.publish(published, JSON.stringify(input));
  await connection.flush();
  return { ...input, published };
}
`,
  },
  rustfs: {
    dependency: "tentacular-rustfs",
    node: "keep",
    description: "Keeps it as an object",
    note: "a prefix of its own in a bucket",
    source: `import type { Context } from "tentacular";
import type { Greeting } from "./greet.ts";

export default async function keep(ctx: Context, input: Greeting) {
  const objects = ctx.dependency("tentacular-rustfs");
  const key = "latest.json"; // below the tentacle's own prefix
  await objects.put(key, JSON.stringify(input), { contentType: "application/json" });
  return { ...input, kept: key, objects: (await objects.list()).length };
}
`,
  },
};

/** The first node of every new tentacle. */
export const greet = `import type { Context } from "tentacular";

export interface Greeting {
  greeting: string;
}

/** The first node: its input is the run's, and {} when none is given. */
export default async function greet(ctx: Context, input: { name?: string }): Promise<Greeting> {
  const name = input.name ?? "world";
  ctx.log.info("greeting", { name });
  return { greeting: \`Hello, \${name}!\` };
}
`;
