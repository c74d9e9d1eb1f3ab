/** The scenarios for servers of the suite's version 0.1.16. A newer suite brings more: they are added here. */
export const scenarios: readonly string[] = [
  "server-initialize",
  "logging-set-level",
  "ping",
  "completion-complete",
  "tools-list",
  "tools-call-simple-text",
  "tools-call-image",
  "tools-call-audio",
  "tools-call-embedded-resource",
  "tools-call-mixed-content",
  "tools-call-with-logging",
  "tools-call-error",
  "tools-call-with-progress",
  "tools-call-sampling",
  "tools-call-elicitation",
  "json-schema-2020-12",
  "elicitation-sep1034-defaults",
  "server-sse-polling",
  "server-sse-multiple-streams",
  "elicitation-sep1330-enums",
  "resources-list",
  "resources-read-text",
  "resources-read-binary",
  "resources-templates-read",
  "resources-subscribe",
  "resources-unsubscribe",
  "prompts-list",
  "prompts-get-simple",
  "prompts-get-with-args",
  "prompts-get-embedded-resource",
  "prompts-get-with-image",
  "dns-rebinding-protection",
];

/**
 * What the suite advises and does not demand: sessions, and streams that can be taken up again in one. Our server has
 * none, so that any replica answers any request (docs/decisions/mcp-sdk-v2.md); all else of these scenarios it must meet.
 */
export const advised: Readonly<Record<string, readonly string[]>> = {
  "server-sse-polling": [
    "WARNING server-sse-polling-session",
    "WARNING server-sse-priming-event",
    "WARNING server-sse-retry-field",
  ],
  "server-sse-multiple-streams": ["WARNING server-sse-multiple-streams-session"],
};
