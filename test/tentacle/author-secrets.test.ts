import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type AuthorSecrets,
  checkSecretNames,
  checkSecrets,
  mergeSecrets,
  parseSecrets,
  secretNames,
  secretValue,
  serializeSecrets,
} from "../../src/tentacle/author-secrets.ts";
import { parseWorkflow } from "../../src/tentacle/parse.ts";

const { tentacle } = parseWorkflow(`name: hello
version: 1
nodes: { a: { path: a.ts } }
contract:
  version: "1"
  dependencies:
    github: { protocol: https, host: api.github.com, auth: { type: bearer-token, secret: github.token } }
    slack: { protocol: https, host: hooks.slack.com, auth: { type: webhook-url, secret: slack.url } }
`);

describe("the author's secrets", () => {
  test("that a webhook asks for are asked for too", () => {
    const hooked = parseWorkflow(`name: hello
version: 1
triggers: [{ type: webhook, path: /hooks/x, secret: hooks.token }]
nodes: { a: { path: nodes/a.ts } }
`).tentacle;
    expect(checkSecrets(hooked, new Set()).missing).toMatchObject([
      {
        path: "triggers[0].secret",
        message: "the secret hooks.token, which the webhook /hooks/x asks for, has no value",
        hint: "A person sets it with: tntc secrets set hello hooks.token",
      },
    ]);
    expect(checkSecrets(hooked, new Set(["hooks.token"]))).toEqual({ missing: [], unused: [] });
  });

  test("that are missing are named with the command that sets them", () => {
    const { missing, unused } = checkSecrets(tentacle, new Set(["slack.url", "slack.other", "old"]));
    expect(missing).toMatchObject([
      {
        path: "contract.dependencies.github.auth.secret",
        hint: "A person sets it with: tntc secrets set hello github.token",
      },
    ]);
    expect(unused.map((issue) => issue.path)).toEqual(["secrets.slack.other", "secrets.old"]);
  });

  test("a plain text serves any key", () => {
    expect(checkSecrets(tentacle, new Set(["github", "slack"]))).toEqual({ missing: [], unused: [] });
    expect(secretValue({ github: "x" }, "github", "token")).toBe("x");
    expect(secretValue({ github: { token: "y" } }, "github", "token")).toBe("y");
    expect(secretValue({ github: { token: "y" } }, "github", "toString")).toBeUndefined();
    expect(secretValue({}, "constructor", "name")).toBeUndefined();
  });

  test.each(["tentacular-postgres", "a/b", "a.b", "", "__proto__", "constructor", "x".repeat(64)])(
    "fault 14: are refused under the name %j, without the value",
    (service) => {
      const secrets = Object.fromEntries([[service, { token: "canary" }]]);
      const issues = checkSecretNames(secrets);
      expect(issues).toHaveLength(1);
      expect(JSON.stringify(issues)).not.toContain("canary");
      expect(() => mergeSecrets({}, secrets)).toThrow();
    },
  );

  test("are merged by key, replaced as a whole, removed by name", () => {
    const existing = { github: { token: "1", user: "u" }, slack: "text", old: { a: "1" } };
    expect(mergeSecrets(existing, { github: { token: "2" }, slack: { url: "x" } })).toEqual({
      github: { token: "2", user: "u" },
      slack: { url: "x" },
      old: { a: "1" },
    });
    expect(mergeSecrets(existing, { github: { token: "2" } }, { replace: true })).toEqual({
      github: { token: "2" },
    });
    expect(
      mergeSecrets(existing, {}, { remove: ["slack", "github.user", "old.a", "none", "none.x"] }),
    ).toEqual({
      github: { token: "1" },
    });
    expect(() => mergeSecrets({}, { a: { b: "x".repeat(70_000) } })).toThrow(/longer than 64 KiB/);
  });

  test("come back as they were kept, and their names hold no value", () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/);
    const value = fc.oneof(
      fc.string().filter((text) => !text.trimStart().startsWith("{")),
      fc.dictionary(name, fc.string(), { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
    );
    fc.assert(
      fc.property(
        fc.dictionary(name, value, { maxKeys: 4, noNullPrototype: true }),
        (secrets: AuthorSecrets) => {
          expect(parseSecrets(serializeSecrets(secrets))).toEqual(secrets);
        },
      ),
    );
    expect(secretNames({ b: "x", a: { y: "1", x: "2" } })).toEqual(["a.x", "a.y", "b"]);
  });
});
