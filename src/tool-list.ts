/** The tools without the platform: what a server announces before anything heavy is loaded. */
export { tools } from "../tools/index.ts";
