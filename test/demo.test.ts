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
    for (const [name, { available }] of Object.entries(services)) {
      if (!(name in result.services)) continue;
      if (available) expect(result.services[name]?.state).toBe("running");
      const shown = result.proofs.filter((proof) => proof.includes(name));
      // Its own access, a neighbour's refusal, a dead credential, nothing left of two tentacles.
      if (result.services[name]?.state === "running") expect(shown.length).toBeGreaterThanOrEqual(5);
    }
  },
);
