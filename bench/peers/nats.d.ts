/**
 * What is used of `nats`: its own types are there only once it is installed.
 *
 * @module
 */

/** A message. */
export interface Message {
  readonly data: Uint8Array;
  respond(content?: Uint8Array): boolean;
}

/** A connection to the broker. */
export interface Connection {
  subscribe(subject: string, options: { callback(error: Error | null, message: Message): void }): unknown;
  publish(subject: string, content?: Uint8Array, options?: { reply: string }): void;
  request(subject: string, content: Uint8Array | undefined, options: { timeout: number }): Promise<Message>;
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Connects. */
export declare function connect(options: { port: number; reconnect: boolean }): Promise<Connection>;

/** A subject of one's own. */
export declare function createInbox(): string;
