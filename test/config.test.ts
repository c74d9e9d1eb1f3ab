import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { loadServerConfig } from "../src/config.ts";
import { loadClientConfig } from "../src/environment.ts";
import { InvalidInput } from "../src/errors.ts";
import { defineRegistrar, type RegistrarDefinition } from "../src/exoskeleton/registrar.ts";

const fruit = defineRegistrar({
  service: "fruit",
  dependency: "tentacular-fruit",
  protocol: "fruit",
  summary: "a basket",
  fields: [],
  settings: {
    host: { env: "TENTACULAR_FRUIT_HOST", schema: z.string(), required: true, secret: false, doc: "Where." },
    key: { env: "TENTACULAR_FRUIT_KEY", schema: z.string(), required: true, secret: true, doc: "Which key." },
    port: {
      env: "TENTACULAR_FRUIT_PORT",
      schema: z.coerce.number().int().default(99),
      required: false,
      secret: false,
      doc: "A port.",
    },
  },
  async create() {
    throw new Error("not created in these tests");
  },
});
const definitions: readonly RegistrarDefinition[] = [fruit];

const text = (env: `TENTACULAR_${string}`, required: boolean) =>
  ({
    env,
    required,
    schema: required ? z.string() : z.string().optional(),
    secret: false,
    doc: "Text.",
  }) as const;
const dish = defineRegistrar({
  service: "dish",
  dependency: "tentacular-dish",
  protocol: "dish",
  summary: "a dish",
  fields: [],
  settings: {
    where: text("TENTACULAR_DISH_WHERE", true),
    pot: text("TENTACULAR_DISH_POT", false),
    lid: text("TENTACULAR_DISH_LID", false),
    pan: text("TENTACULAR_DISH_PAN", false),
  },
  modes: { cooked: ["pot", "lid"], fried: ["pan"] },
  async create() {
    throw new Error("not created in these tests");
  },
});

function load(environment: Record<string, string>, defaults: Record<string, string> = {}) {
  return loadServerConfig(definitions, defaults, environment);
}

function refusal(environment: Record<string, string>, known = definitions): InvalidInput {
  try {
    loadServerConfig(known, {}, environment);
  } catch (error) {
    if (error instanceof InvalidInput) return error;
    throw error;
  }
  throw new Error("was accepted");
}

describe("server configuration", () => {
  test("a service without settings is off", () => {
    expect(load({}).services).toEqual({ fruit: { enabled: false } });
  });

  test("a service with complete settings is on, with its defaults", () => {
    const { services, secrets } = load({ TENTACULAR_FRUIT_HOST: "h", TENTACULAR_FRUIT_KEY: "sesame" });
    expect(services.fruit).toEqual({ enabled: true, settings: { host: "h", key: "sesame", port: 99 } });
    expect(secrets).toEqual(["sesame"]);
  });

  test("half of a service's settings is an error that names what is missing, never a value", () => {
    const error = refusal({ TENTACULAR_FRUIT_KEY: "sesame" });
    expect(error.message).toContain(
      "fruit is half configured: TENTACULAR_FRUIT_KEY set, TENTACULAR_FRUIT_HOST missing",
    );
    expect(JSON.stringify(error.report())).not.toContain("sesame");
  });

  test("a service with a choice is on when exactly one is complete", () => {
    const where = { TENTACULAR_DISH_WHERE: "w" };
    const dishOf = (more: Record<string, string>) =>
      loadServerConfig([dish], {}, { ...where, ...more }).services.dish;
    expect(dishOf({ TENTACULAR_DISH_PAN: "p" })).toMatchObject({ enabled: true });
    expect(dishOf({ TENTACULAR_DISH_POT: "p", TENTACULAR_DISH_LID: "l" })).toMatchObject({ enabled: true });
    expect(loadServerConfig([dish], {}, {}).services.dish).toEqual({ enabled: false });
  });

  test.each([
    [
      { TENTACULAR_DISH_WHERE: "w" },
      "dish is half configured: TENTACULAR_DISH_WHERE set, the choice of how missing",
    ],
    [
      { TENTACULAR_DISH_WHERE: "w", TENTACULAR_DISH_POT: "p" },
      "dish is half configured: TENTACULAR_DISH_WHERE, TENTACULAR_DISH_POT set, TENTACULAR_DISH_LID missing",
    ],
    [
      { TENTACULAR_DISH_WHERE: "w", TENTACULAR_DISH_POT: "p", TENTACULAR_DISH_PAN: "p" },
      "dish is configured in more than one way: TENTACULAR_DISH_POT, TENTACULAR_DISH_PAN are set",
    ],
    [
      { TENTACULAR_DISH_PAN: "p" },
      "dish is half configured: TENTACULAR_DISH_PAN set, TENTACULAR_DISH_WHERE missing",
    ],
  ])("none, half a one or two choices are an error: %j", (environment, message) => {
    const error = refusal(environment, [dish]);
    expect(error.message).toBe(`configuration: ${message}`);
    expect(error.hint).toMatch(/TENTACULAR_DISH_/);
  });

  test("an unknown name suggests the near one", () => {
    const error = refusal({ TENTACULAR_FRUIT_HOTS: "h" });
    expect(error.message).toContain("TENTACULAR_FRUIT_HOTS is no setting");
    expect(error.hint).toContain("TENTACULAR_FRUIT_HOST");
  });

  test("a value of the wrong kind is refused, a secret one without showing it", () => {
    expect(refusal({ TENTACULAR_LOG_LEVEL: "loud" }).message).toContain('TENTACULAR_LOG_LEVEL: "loud"');
    expect(
      refusal({ TENTACULAR_FRUIT_HOST: "h", TENTACULAR_FRUIT_KEY: "k", TENTACULAR_FRUIT_PORT: "x" }).issues[0]
        ?.path,
    ).toBe("TENTACULAR_FRUIT_PORT");
  });

  test("every problem is listed at once", () => {
    expect(
      refusal({ TENTACULAR_LOG_LEVEL: "loud", TENTACULAR_FRUIT_HOTS: "h", TENTACULAR_NOPE: "1" }).issues,
    ).toHaveLength(3);
  });

  test("a secret may come from a file, not from both", () => {
    const folder = mkdtempSync(join(tmpdir(), "tentacular-config-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "key");
    writeFileSync(file, "from a file\n");
    const settings = { TENTACULAR_FRUIT_HOST: "h", TENTACULAR_FRUIT_KEY_FILE: file };
    expect(load(settings).services.fruit).toMatchObject({ settings: { key: "from a file" } });
    expect(refusal({ ...settings, TENTACULAR_FRUIT_KEY: "k" }).message).toContain("both set");
    expect(refusal({ ...settings, TENTACULAR_FRUIT_KEY_FILE: `${file}.no` }).message).toContain(
      "cannot be read",
    );
  });

  test("the exoskeleton can be switched off whole", () => {
    const settings = {
      TENTACULAR_FRUIT_HOST: "h",
      TENTACULAR_FRUIT_KEY: "k",
      TENTACULAR_EXOSKELETON_ENABLED: "false",
    };
    expect(load(settings).services.fruit).toEqual({ enabled: false });
  });

  test("what was started here stands in only where the environment says nothing", () => {
    const started = { TENTACULAR_FRUIT_HOST: "127.0.0.1", TENTACULAR_FRUIT_KEY: "generated" };
    expect(load({}, started).services.fruit).toMatchObject({ settings: { host: "127.0.0.1" } });
    expect(load({ TENTACULAR_FRUIT_HOST: "mine" }, started).services.fruit).toMatchObject({
      settings: { host: "mine" },
    });
  });
});

describe("client configuration", () => {
  test("follows the XDG base directories, TNTC_* and NO_COLOR", () => {
    const config = loadClientConfig({
      XDG_STATE_HOME: "/s",
      XDG_CACHE_HOME: "/c",
      TNTC_SERVER: "http://127.0.0.1:1",
      NO_COLOR: "1",
    });
    expect(config).toMatchObject({
      stateDir: "/s/tentacular",
      cacheDir: "/c/tentacular",
      server: "http://127.0.0.1:1",
      color: false,
    });
    expect(loadClientConfig({ NO_COLOR: "" }).color).toBe(true);
  });
});
