import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { allowNetOf, targetsOf } from "../../src/tentacle/egress.ts";
import { parseWorkflow } from "../../src/tentacle/parse.ts";
import type { Tentacle } from "../../src/tentacle/tentacle.ts";
import { deno } from "../cluster/tiny-engine.ts";

function tentacleWith(dependencies: string, more = ""): Tentacle {
  return parseWorkflow(
    `name: hello\nversion: 1\nnodes: { a: { path: a.ts } }\n${more}contract:\n  version: "1"\n  dependencies:\n${dependencies}`,
  ).tentacle;
}

const filled = {
  "tentacular-postgres": { protocol: "postgresql", fields: { host: "db.internal", port: 5432 } },
  "tentacular-spire": { protocol: "spiffe", fields: { spiffe_id: "spiffe://x/y" } },
};

const dependencies = `    tentacular-postgres:
    tentacular-spire:
    web: { protocol: https, host: api.example.com }
    same: { protocol: https, host: api.example.com, port: 443 }
    six: { protocol: http, host: "[::1]", port: 8081 }
    six2: { protocol: http, host: "fd00::1" }
    range: { type: dynamic-target, cidr: 127.0.0.0/8, dynPorts: [9, 53/UDP] }
    mod: { protocol: jsr, host: "@db/postgres", version: 0.19.5 }
`;

describe("what a tentacle may reach", () => {
  test("is each host and port of the contract, once", () => {
    expect(allowNetOf(tentacleWith(dependencies), filled)).toEqual([
      "db.internal:5432",
      "api.example.com:443",
      "[::1]:8081",
      "[fd00::1]:80",
      "127.0.0.0/8:9",
      "127.0.0.0/8:53",
    ]);
  });

  test("is nothing without a contract, and a sidecar's port on this machine", () => {
    expect(allowNetOf(tentacleWith("", "sidecars: [{ name: s, image: i, port: 3030 }]\n"), {})).toEqual([
      "localhost:3030",
      "127.0.0.1:3030",
    ]);
    expect(allowNetOf(tentacleWith("    tentacular-postgres:\n"), {})).toEqual([]);
  });

  test.each(["a,b", "a:1,b", "*", "a b", "a/../b", "10.0.0.0/8,0.0.0.0/0"])(
    "never holds %j, even when a service gave it",
    (host) => {
      const bad = { "tentacular-postgres": { protocol: "postgresql", fields: { host, port: 1 } } };
      expect(() => allowNetOf(tentacleWith("    tentacular-postgres:\n"), bad)).toThrow(RangeError);
    },
  );

  test("knows UDP from TCP", () => {
    expect(
      targetsOf(tentacleWith("    r: { type: dynamic-target, cidr: 10.0.0.0/8, dynPorts: [53/udp] }\n"), {}),
    ).toEqual([{ host: "10.0.0.0/8", port: 53, protocol: "UDP" }]);
  });

  test("is taken by Deno as it is, and nothing more is allowed", async () => {
    const allow = allowNetOf(tentacleWith(dependencies), filled).join(",");
    const script = `for (const [hostname, port] of [["127.0.0.1", 9], ["127.9.9.9", 9], ["127.0.0.1", 10], ["localhost", 9], ["::1", 8081], ["::1", 9]])
      await Deno.connect({ hostname, port }).then(() => console.log("open"), (error) => console.log(error.name));`;
    const child = spawnSync(await deno(), ["run", "--no-prompt", `--allow-net=${allow}`, "-"], {
      input: script,
      encoding: "utf8",
      env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1", HOME: "/nonexistent", DENO_DIR: "/nonexistent" },
    });
    expect(child.stderr).not.toContain("invalid");
    expect(child.stdout.trim().split("\n")).toEqual([
      expect.not.stringMatching("NotCapable"),
      expect.not.stringMatching("NotCapable"),
      "NotCapable",
      "NotCapable",
      expect.not.stringMatching("NotCapable"),
      "NotCapable",
    ]);
  });
});
