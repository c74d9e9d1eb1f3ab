/** Runs one group in this process and sends what it found to the bench that started it. */
import { groups } from "./groups/index.ts";

const [name, mode] = process.argv.slice(2);
const group = groups.find((one) => one.name === name);
if (group === undefined) throw new Error(`there is no group ${name ?? ""}`);
const { run } = await group.load();
const findings = await run({ quick: mode === "quick" });
await new Promise<void>((resolve, reject) => {
  if (process.send === undefined) reject(new Error("this is started by bench/index.ts"));
  else process.send(findings, undefined, undefined, (error) => (error === null ? resolve() : reject(error)));
});
process.disconnect();
