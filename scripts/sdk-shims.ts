/**
 * What the MCP SDK takes from its surroundings (`_shims`), as the bundle has it: with the smaller of the two JSON Schema validators
 * that it brings, which it takes outside Node. We check arguments and answers with zod; ajv would be loaded at each start for nothing.
 */
export { CfWorkerJsonSchemaValidator as DefaultJsonSchemaValidator } from "@modelcontextprotocol/server/validators/cf-worker";

/** Not by an import of `node:process`, which makes every stream and list that it offers. */
export const { process } = globalThis;

/** As the SDK has it on Node. */
export const CORS_IS_POSSIBLE = false;
