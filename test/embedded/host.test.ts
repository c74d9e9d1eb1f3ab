import { spawn } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claimHost, readHost } from "../../src/embedded/host.ts";

let stateDir: string;
beforeEach(async () => {
  stateDir = join(await mkdtemp(join(tmpdir(), "tentacular-host-")), "state");
});
afterEach(() => rm(join(stateDir, ".."), { recursive: true, force: true }));

/** Runs a process that becomes the host and then is killed, or ends with 3 when it could not. */
function childHost(then: "killed" | "ends"): Promise<number | null> {
  const script = `
    import { claimHost } from ${JSON.stringify(new URL("../../src/embedded/host.ts", import.meta.url).href)};
    const claim = await claimHost(${JSON.stringify(stateDir)});
    if (claim === undefined) process.exit(3);
    await claim.publish({ url: "http://127.0.0.1:1/mcp" });
    ${then === "killed" ? 'process.kill(process.pid, "SIGKILL");' : ""}`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", script], { stdio: "inherit" });
  return new Promise((resolve) => child.once("close", (code) => resolve(code)));
}

describe("the host of a state folder", () => {
  it("is found by others once it has published its address", async () => {
    expect(await readHost(stateDir)).toBeUndefined();
    const claim = await claimHost(stateDir);
    expect(await readHost(stateDir)).toBeUndefined();
    await claim?.publish({ url: "http://127.0.0.1:4711/mcp" });
    const host = await readHost(stateDir);
    expect(host).toMatchObject({ url: "http://127.0.0.1:4711/mcp", pid: process.pid });
    expect(await readFile(host?.tokenFile ?? "", "utf8")).toBe(claim?.token);
    for (const [name, mode] of [
      ["", 0o700],
      ["server.json", 0o600],
      ["token", 0o600],
    ] as const)
      expect((await stat(join(stateDir, name))).mode & 0o777, name).toBe(mode);
  });

  it("is one process: a second claim is refused while it lives, in this process and in another", async () => {
    const claim = await claimHost(stateDir);
    expect(await claimHost(stateDir)).toBeUndefined();
    expect(await childHost("ends")).toBe(3);
    await claim?.release();
    expect(await readHost(stateDir)).toBeUndefined();
    expect(await childHost("ends")).toBe(0);
  });

  it("that was killed is not found, and the next one takes its place", async () => {
    await childHost("killed");
    expect(await readFile(join(stateDir, "server.json"), "utf8")).toContain("127.0.0.1:1");
    expect(await readHost(stateDir)).toBeUndefined();
    const claim = await claimHost(stateDir);
    expect(await readHost(stateDir)).toBeUndefined();
    await claim?.publish({ url: "http://127.0.0.1:2/mcp" });
    expect(await readHost(stateDir)).toMatchObject({ url: "http://127.0.0.1:2/mcp" });
  });

  it("keeps its token, but not one that others could read or that is cut short", async () => {
    const first = await claimHost(stateDir);
    await first?.release();
    const second = await claimHost(stateDir);
    expect(second?.token).toBe(first?.token);
    await second?.release();
    await chmod(join(stateDir, "token"), 0o644);
    const third = await claimHost(stateDir);
    expect(third?.token).not.toBe(first?.token);
    await third?.release();
    await writeFile(join(stateDir, "token"), "cut");
    expect((await claimHost(stateDir))?.token).toMatch(/^[\w-]{43}$/);
  });
});
