/** Where the text of our accounts is kept: a file, or a key of a ConfigMap. Everything else is the same for both. */
export interface AccountsStore {
  /** For messages: `the file /etc/nats/accounts.conf`. */
  readonly where: string;
  /** How long a change may take to reach nats-server: a mounted ConfigMap follows late. */
  readonly patienceMs: number;
  read(signal: AbortSignal): Promise<string>;
  /**
   * Replaces the text by what `change` makes of it, which may be called again with a newer text: nobody else's writing
   * comes in between or is lost. The same text is not written. An error of `change` leaves everything as it was.
   */
  update(change: (text: string) => Promise<string>, signal: AbortSignal): Promise<void>;
}
