import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createAuthentication } from "../../src/callers/authenticate.ts";
import { openPolicy } from "../../src/callers/policy.ts";
import { readTokens } from "../../src/callers/tokens.ts";
import { newToken } from "../../src/server/http.ts";

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-tokens-"));
  file = join(folder, "tokens");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const hex = (token: string): string => createHash("sha256").update(token).digest("hex");

async function refusal(text: string): Promise<string> {
  await writeFile(file, text);
  try {
    readTokens(file);
  } catch (error) {
    return String(error);
  }
  return "accepted";
}

it("knows each holder by a token in the clear or by its hash", async () => {
  const [ci, laptop] = [newToken(), newToken()];
  await writeFile(file, `# who may call\nci: ${ci}\n\nanna.laptop: sha256:${hex(laptop)}\n`);
  const { tokens, secrets } = readTokens(file);
  // Only what stands in the file in the clear could be shown.
  expect(secrets).toEqual([ci]);
  const authenticate = createAuthentication({ tokens, policy: openPolicy });
  expect(await authenticate(`Bearer ${ci}`)).toMatchObject({ name: "token:ci" });
  expect(await authenticate(`bearer ${laptop}`)).toMatchObject({ name: "token:anna.laptop" });
  const refused = [undefined, "", "Bearer ", `Bearer ${hex(laptop)}`, `Bearer sha256:${hex(laptop)}`];
  for (const header of [...refused, `Basic ${ci}`, `Bearer ${ci}x`, `Bearer ${ci} ${ci}`, ci])
    expect(await authenticate(header)).toMatchObject({ status: 401 });
});

it("reads JSON as well", async () => {
  const ci = newToken();
  await writeFile(file, JSON.stringify({ ci }));
  expect(readTokens(file).tokens.map(({ name }) => name)).toEqual(["ci"]);
});

it("says of what it cannot take where it stands, and never the token", async () => {
  const token = newToken();
  const short = "0123456789";
  expect(await refusal(`ci: ${short}\n`)).toMatch(/line 1, column 1: the token of ci has fewer than 32/);
  expect(await refusal(`a: ${token}\nci: sha256:12\n`)).toMatch(/line 2, column 1: the hash of ci is not 64/);
  expect(await refusal(`a: ${token}\nb: ${token}\n`)).toMatch(/line 2.*b has the token of another caller/);
  expect(await refusal(`a: ${token}\na: ${newToken()}\n`)).toMatch(/line 2/);
  expect(await refusal(`"a b": ${token}\n`)).toMatch(/a name is 1 to 31 letters/);
  expect(await refusal(`${token}: ci\n`)).toMatch(/line 1, column 1: a name is/);
  expect(await refusal("")).toMatch(/tokens, line 1/);
  expect(await refusal("{}")).toMatch(/there is no token in it/);
  expect(await refusal(`- ${token}\n`)).toMatch(/line 1/);
  for (const text of [
    `ci: ${short}\n`,
    `a: ${token}\nb: ${token}\n`,
    `a: [${token}]\n`,
    `${token}: ci\n`,
    `a: ${token}: b\n`,
  ]) {
    const message = await refusal(text);
    expect(message).not.toBe("accepted");
    expect(message).not.toContain(token);
    expect(message).not.toContain(short);
  }
  await rm(file);
  expect(() => readTokens(file)).toThrow(/cannot be read/);
});
