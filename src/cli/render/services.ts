import type { Embedded } from "../../embedded/index.ts";
import type { Style } from "../style.ts";

/** The services of this machine, one line each: running where, or why not and what to do. */
export function renderServices(services: Embedded["services"], style: Style): string {
  const width = Math.max(...Object.keys(services).map((name) => name.length));
  return Object.entries(services)
    .map(([name, service]) => {
      const label = name.padEnd(width);
      if (service.state === "running")
        return `${style.green("✓")} ${label}  ${service.address}  ${style.dim(service.version)}`.trimEnd();
      return `${style.yellow("-")} ${label}  ${service.reason}\n  ${" ".repeat(width)}  ${style.dim(service.remedy)}`;
    })
    .join("\n");
}
