/** Where the engine answers the server in its pod. */
export const ENGINE_PORT = 8080;

/** Where the engine takes webhooks in its pod: a port of its own, as a NetworkPolicy opens ports and knows no paths. */
export const WEBHOOK_PORT = 8081;
