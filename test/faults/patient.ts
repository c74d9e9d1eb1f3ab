import { type Deadlines, defaultDeadlines } from "../../src/exoskeleton/guard.ts";

/** No service is slow of itself here, but on a busy machine a healthy one may take long to say so. */
export const PATIENT: Deadlines = { ...defaultDeadlines, probe: 60_000, call: 90_000 };
