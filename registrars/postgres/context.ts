import type { Logger } from "../../src/log.ts";
import type { Connector } from "./connection.ts";
import type { PostgresSettings } from "./settings.ts";

/** What every part of the registrar works with. */
export interface PostgresContext {
  readonly settings: PostgresSettings;
  readonly connector: Connector;
  readonly installation: string;
  readonly log: Logger;
}
