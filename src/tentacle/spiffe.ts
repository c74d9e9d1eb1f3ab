import type { Identity } from "./identity.ts";

/** Letters, digits, dots, dashes and underscores: what a trust domain may consist of (SPIFFE-ID, section 2.1). */
export const TRUST_DOMAIN = /^[a-z0-9][a-z0-9._-]{0,254}$/;

/** `spiffe://<trust domain>/ns/<enclave>/tentacles/<name>`: who a tentacle is to other workloads. */
export function spiffeId({ enclave, name }: Identity, trustDomain: string): string {
  return `spiffe://${trustDomain}/ns/${enclave}/tentacles/${name}`;
}
