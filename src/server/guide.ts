/** What the resource `tentacular://guide` holds: the whole way of work on one page, the same on every installation. */
export const GUIDE = `# Tentacles

A tentacle is a workflow deployed into an enclave: workflow.yaml, a graph of TypeScript nodes, and a contract that lists every outside
thing it may touch. Deploying makes for it, and for it alone, a slice of each service it declares.

## The order of work

1. enclave_info: which services are usable, what each gives, an example that deploys as it is.
2. deploy with dry_run: true: names every mistake with path, line and what to write instead. Correct, repeat.
3. deploy. It either succeeds or leaves nothing behind.
4. run: a failed node is an answer with ok: false, its message and a hint. Then logs, correct, deploy, run.
5. status with detail: true when something changed outside: it names each drift. deploy again mends it.
6. undeploy keeps the data. With force (its name again) the data goes for good: only when the person asked.

Each error has code (invalid_input: you correct it; not_enabled, unavailable: the operator or time; conflict: somebody else is at it;
internal: a defect), message, hint (the next step), path, and issues, one a mistake.

## workflow.yaml

    name: event-ledger                # a DNS-1123 label
    version: "1.0"
    triggers:                         # besides the tool run
      - { type: cron, schedule: "0 9 * * *", name: daily }
      - { type: queue, subject: events.new }    # needs tentacular-nats
      - { type: webhook, path: /hooks/x, secret: hooks.token }   # callers send it as a bearer token
    nodes:
      store: { path: nodes/store.ts, description: Stores the events }
      publish: { path: nodes/publish.ts, description: Publishes a summary }
    edges:
      - { from: store, to: publish }  # no circles; nodes without a path between them run side by side
    config: { timeout: 30s, retries: 1 }        # a node reads all of it as ctx.config
    contract:
      version: "1"
      dependencies:
        tentacular-postgres:          # managed: the name alone; host, user … by hand are refused
        github-api: { protocol: https, host: api.github.com, port: 443, auth: { type: bearer-token, secret: github.token } }
        csv: { protocol: jsr, host: "@std/csv", version: "1.0.6" }    # a module that nodes import

## A node

    export default async function (ctx, input) {
      const { sql } = ctx.dependency("tentacular-postgres");        // tables in its own schema, no create schema
      const nats = ctx.dependency("tentacular-nats");
      (await nats.connect()).publish(nats.subject + "events", "text");   // every subject begins with nats.subject
      await ctx.dependency("tentacular-rustfs").put("a/b.txt", "text");  // get, put, list, delete, presign
      const answer = await ctx.dependency("github-api").fetch("/repos"); // the auth header is set
      ctx.log.info("done", { status: answer.status });
      return { ok: true };
    }

input is the run's own for a node without upstream, the result of its one upstream node, or an object keyed by the upstream nodes'
names. Results are JSON. A node has no disk, no environment, and no network but its contract's; it may run twice for one input, so write it
to bear that. ctx also has has(name), config, secrets, node, run.id, run.trigger, signal.

## Secrets

Credentials of managed dependencies are never seen by anybody. Others the person sets: \`tntc secrets set <tentacle> github.token\`. Never ask for
a value, never write one.
`;
