import type { Credentials } from "../../src/exoskeleton/registrar.ts";
import type { Identity } from "../../src/tentacle/identity.ts";

/** What a deploy makes in one service, as a script would make it that does nothing else. */
export interface FloorService {
  /** Is something there already, and whose is it? What can be refused is refused before the first write. */
  look(identity: Identity): Promise<unknown>;
  /** Only what creates the resources. */
  bare(identity: Identity): Promise<Credentials>;
  /** The same with what the promises need: marks of ownership, and the fresh credential tried. */
  promised(identity: Identity): Promise<Credentials>;
  close(): Promise<void>;
}
