import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { leaseHolder, takeLease } from "../src/lease.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tentacular-lease-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Runs `script` in a Node process of its own; resolves with what it printed. */
function inChild(script: string): Promise<string> {
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", () => resolve(output));
  });
}

const IMPORT = `import { takeLease } from ${JSON.stringify(new URL("../src/lease.ts", import.meta.url).href)};`;

describe("a lease", () => {
  it("has one holder, whose work and start the next one is told", async () => {
    const first = await takeLease(folder, "deploy");
    const second = await takeLease(folder, "undeploy");
    if (!("lease" in first)) throw new Error("the first taker was refused");
    expect(second).toEqual({ heldBy: first.lease.holder });
    expect(first.lease.holder).toMatchObject({ pid: process.pid, what: "deploy" });
    expect(Date.now() - Date.parse(first.lease.holder.since)).toBeLessThan(60_000);
    await first.lease.release();
    expect(await leaseHolder(folder)).toBeUndefined();
    expect(await takeLease(folder, "undeploy")).toHaveProperty("lease");
  });

  it("of a killed process is free at once", async () => {
    await inChild(
      `${IMPORT} await takeLease(${JSON.stringify(folder)}, "x"); process.kill(process.pid, "SIGKILL");`,
    );
    expect(await readdir(folder)).toEqual(["1.json"]);
    expect(await leaseHolder(folder)).toBeUndefined();
    expect(await takeLease(folder, "deploy")).toHaveProperty("lease");
  });

  it("does not belong to another process that got the holder's id", async () => {
    const record = { what: "deploy", since: "2026-01-01T00:00:00Z", renewed: "2026-01-01T00:00:00Z" };
    const { thisProcess } = await import("../src/processes.ts");
    const holder = { ...thisProcess(), start: "another time" };
    await writeFile(join(folder, "7.json"), JSON.stringify({ ...record, holder, released: false }));
    expect(await takeLease(folder, "deploy")).toHaveProperty("lease");
  });

  it("of a process that cannot be looked up from here lasts while it is renewed", async () => {
    const holder = { pid: 1, start: "?", machine: "another machine" };
    const write = (renewed: Date): Promise<void> =>
      writeFile(
        join(folder, "1.json"),
        JSON.stringify({
          holder,
          what: "deploy",
          since: "then",
          renewed: renewed.toISOString(),
          released: false,
        }),
      );
    await write(new Date());
    expect(await takeLease(folder, "deploy")).toEqual({ heldBy: { pid: 1, what: "deploy", since: "then" } });
    await write(new Date(Date.now() - 61_000));
    expect(await takeLease(folder, "deploy")).toHaveProperty("lease");
  });

  it("has exactly one holder at a time over processes that race for it", async () => {
    const token = JSON.stringify(join(folder, "..", `${folder.split("/").at(-1) ?? ""}.critical`));
    const script = `${IMPORT}
      import { open, rm } from "node:fs/promises";
      let entered = 0, clashes = 0;
      // Until this process has had its turns, not a number of tries: the other one may win many in a row.
      async function attempt() {
        while (entered < 20) {
          const taken = await takeLease(${JSON.stringify(folder)}, "race");
          if (!("lease" in taken)) { await new Promise((r) => setTimeout(r, Math.random() * 4)); continue; }
          try {
            await (await open(${token}, "wx")).close();
            entered++;
            await new Promise((r) => setTimeout(r, Math.random() * 3));
            await rm(${token});
          } catch { clashes++; }
          await taken.lease.release();
        }
      }
      await Promise.all(Array.from({ length: 10 }, attempt));
      console.log(JSON.stringify({ entered, clashes }));`;
    const results = await Promise.all([inChild(script), inChild(script)]);
    for (const text of results) {
      const result: unknown = JSON.parse(text);
      expect(result).toMatchObject({ clashes: 0 });
      expect(result).not.toMatchObject({ entered: 0 });
    }
    expect((await readdir(folder)).length).toBeLessThanOrEqual(20);
  });
});
