import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, inject, test } from "vitest";
import { z } from "zod";

const services = inject("services");

test(
  "the demo walks the main job with every service of this machine, and proves each claim",
  { timeout: 240_000 },
  async () => {
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ["src/main.ts", "demo", "-o", "json"],
      {
        maxBuffer: 16 * 1024 * 1024,
      },
    );
    const result = z
      .object({
        ok: z.literal(true),
        services: z.record(z.string(), z.object({ state: z.string() })),
        proofs: z.array(z.string()),
      })
      .parse(JSON.parse(stdout));
    expect(stderr).not.toContain("defect");
    const running = Object.keys(result.services).filter((name) => result.services[name]?.state === "running");
    for (const [name, { available }] of Object.entries(services))
      if (available && name in result.services) expect(running).toContain(name);
    for (const name of running)
      // Its own access, a dead credential, nothing left of two tentacles.
      expect(result.proofs.filter((proof) => proof.includes(name)).length).toBeGreaterThanOrEqual(4);
    if (running.includes("rustfs"))
      expect(result.proofs).toContain(
        "its own tentacular-rustfs credential can read its object summary.json: summary.json says 3 events",
      );
    expect(result.proofs.filter((proof) => proof.startsWith("neighbour cannot"))).toHaveLength(
      running.length,
    );
  },
);
