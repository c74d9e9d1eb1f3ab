import { isMap, isSeq, parseDocument } from "yaml";

/** The workflow without some of its dependencies, for a machine that lacks a service; comments and order stay. */
export function withoutDependencies(workflow: string, dependencies: readonly string[]): string {
  if (dependencies.length === 0) return workflow;
  const document = parseDocument(workflow);
  for (const dependency of dependencies) document.deleteIn(["contract", "dependencies", dependency]);
  const triggers = document.get("triggers");
  // A queue trigger needs an account to listen with.
  if (dependencies.includes("tentacular-nats") && isSeq(triggers))
    triggers.items = triggers.items.filter((trigger) => !isMap(trigger) || trigger.get("type") !== "queue");
  return document.toString();
}

/** The workflow under another name. */
export function renamed(workflow: string, name: string): string {
  const document = parseDocument(workflow);
  document.set("name", name);
  return document.toString();
}
