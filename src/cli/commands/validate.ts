import { InvalidInput, type Issue } from "../../errors.ts";
import { readTentacleFolder } from "../../folder/read-folder.ts";
import { checkSyntax } from "../../syntax/check-syntax.ts";
import { checkSecretNames, checkSecrets, secretNames } from "../../tentacle/author-secrets.ts";
import { checkFiles } from "../../tentacle/files.ts";
import { checkManaged, parseWorkflow } from "../../tentacle/parse.ts";
import { type ExitCode, exitCodes } from "../failure.ts";
import type { CommandIo } from "../io.ts";
import { renderValid } from "../render/validate.ts";

/** What `validate -o json` prints of a tentacle without mistakes. */
export interface ValidateResult {
  readonly valid: true;
  readonly name: string;
  readonly version: string;
  readonly nodes: readonly string[];
  readonly dependencies: readonly string[];
  readonly files: readonly string[];
  readonly warnings: readonly Issue[];
}

/** Checks a folder as far as that goes without a server; a mistake is an error, what only looks odd a warning. */
export async function run({ dir }: { readonly dir: string }, io: CommandIo): Promise<ExitCode> {
  const { workflow, files, secrets } = await readTentacleFolder(dir);
  const { tentacle, warnings } = parseWorkflow(workflow);
  // Loaded here: everything that can be deployed to is known only where everything is put together.
  const { definitions } = await import("../../platform.ts");
  const [first, ...more] = [
    ...checkManaged(tentacle, definitions),
    ...checkFiles(tentacle, files, workflow),
    ...checkSecretNames(secrets),
    ...(await checkSyntax(files)),
  ];
  if (first !== undefined)
    throw new InvalidInput(`${first.message}${more.length > 0 ? `; and ${more.length} more` : ""}`, {
      hint: first.hint,
      path: first.path,
      issues: [first, ...more],
    });
  // A secret may be on the server already: what is missing here is no mistake.
  const { missing, unused } = checkSecrets(tentacle, new Set(secretNames(secrets)));
  const result: ValidateResult = {
    valid: true,
    name: tentacle.name,
    version: tentacle.version,
    nodes: Object.keys(tentacle.nodes),
    dependencies: Object.keys(tentacle.contract.dependencies),
    files: Object.keys(files),
    warnings: [...warnings, ...missing, ...unused],
  };
  await io.output.result(result, () => renderValid(result, dir, io.output.style));
  return exitCodes.ok;
}
