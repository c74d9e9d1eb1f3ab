import type { RegistrarDefinition } from "../src/exoskeleton/registrar.ts";
import { nats } from "./nats/index.ts";
import { postgres } from "./postgres/index.ts";
import { rustfs } from "./rustfs/index.ts";
import { spire } from "./spire/index.ts";

/** Every backing service there is: a new one is its folder and one line here. */
export const definitions: readonly RegistrarDefinition[] = [postgres, nats, rustfs, spire];
