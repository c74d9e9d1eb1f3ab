import { realpath } from "node:fs/promises";
import { type Document, isMap, parseDocument } from "yaml";
import { InvalidInput } from "../../errors.ts";
import { errorCode, isMissing, readTextIfThere, writeFileAtomic } from "../../files.ts";
import { type Environment, type Environments, localEnvironment } from "./environments.ts";

/** A change to the user's file. Whoever calls has read the file before: it can be understood. */
type Change = (document: Document) => void;

/** Adds an environment at the end of the file, which is made when it is missing. */
export async function addEnvironment(path: string, environment: Environment): Promise<void> {
  const { name, server, ca, enclave, tokenFile } = environment;
  await edit(path, (document) => {
    const all = document.get("environments");
    if (isMap(all) && all.items.length === 0) all.flow = false;
    document.setIn(
      ["environments", name],
      document.createNode({
        server,
        ...(ca !== undefined && { ca }),
        ...(enclave !== undefined && { enclave }),
        ...(tokenFile !== undefined && { token_file: tokenFile }),
      }),
    );
  });
}

/** Takes an environment out of the file, and its use as well. */
export async function removeEnvironment({ path, current }: Environments, name: string): Promise<void> {
  await edit(path, (document) => {
    document.deleteIn(["environments", name]);
    // Set, not deleted: the comment above a first key would go with it.
    if (current === name) document.set("environment", localEnvironment);
  });
}

/** Makes an environment the one that is used where nothing else is said. */
export async function useEnvironment(path: string, name: string): Promise<void> {
  await edit(path, (document) => {
    document.set("environment", name);
  });
}

/** Writes the file anew, for its owner only; comments and order stay. A link to it stays a link. */
async function edit(path: string, change: Change): Promise<void> {
  const document: Document = parseDocument((await readTextIfThere(path)) ?? "");
  // Nothing can be set in an empty file or below an empty key, which are null.
  if (!isMap(document.contents)) document.contents = document.createNode({});
  if (document.has("environments") && !isMap(document.get("environments")))
    document.set("environments", document.createNode({}));
  change(document);
  try {
    await writeFileAtomic(await behindLinks(path), document.toString({ lineWidth: 0 }));
  } catch (cause) {
    throw new InvalidInput(`${path} cannot be written (${errorCode(cause) ?? "failed"})`, {
      hint: "Check the permissions of the file and its folder.",
      cause,
    });
  }
}

async function behindLinks(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (isMissing(error)) return path;
    throw error;
  }
}
