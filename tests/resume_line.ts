/**
 * The connection of a client whose bytes a test holds up, for the tests of sessions that outlive their connections.
 *
 * @module
 */

import type { ChunkReader, Connection } from "../src/transport.ts";

/** A connection of the client, through which nothing comes for a while, and whose end the server may see late. */
export class Line {
  readonly connection: Connection;
  /** True if the end that the client makes does not reach the server. */
  sticky = false;
  aborted = false;
  #silent = false;
  #mute = false;
  #writing: Promise<void> | undefined;
  /** The writes that wait. */
  #held: (() => void)[] = [];
  /** Hands out what was read meanwhile. */
  #heldRead: (() => void) | undefined;
  readonly #abort: (reason?: Error) => void;

  constructor(connection: Connection) {
    const { abort, closeWrite, readTo, write } = connection;
    this.connection = connection;
    this.#abort = (reason) => abort.call(connection, reason);
    Object.assign(connection, {
      writeTo: undefined,
      write: (bytes: Uint8Array) => {
        if (!this.#mute && this.#writing === undefined) return write.call(connection, bytes);
        const kept = bytes.slice();
        return this.#later(() => write.call(connection, kept));
      },
      closeWrite: () => {
        if (!this.#mute && this.#writing === undefined) return closeWrite.call(connection);
        return this.#later(() => closeWrite.call(connection));
      },
      read: () =>
        new Promise((resolve, reject) => {
          connection.readTo!({ received: (chunk, error) => error === undefined ? resolve(chunk) : reject(error) });
        }),
      readTo: (reader: ChunkReader) =>
        readTo!.call(connection, {
          received: (chunk, error) => {
            const pass = (): void => {
              this.came(chunk);
              reader.received(chunk, error);
            };
            if (this.#silent) this.#heldRead = pass;
            else pass();
          },
        }),
      abort: (reason?: Error) => {
        this.aborted = true;
        if (!this.sticky) this.end(reason);
      },
    } as Partial<Connection>);
  }

  /** Called with what is passed on of what the client reads. */
  protected came(_chunk: Uint8Array | null): void {}

  /** A connection takes one write at a time. */
  #later(write: () => Promise<void>): Promise<void> {
    const go = (): Promise<void> => {
      const done = (this.#writing ?? Promise.resolve()).then(write);
      this.#writing = done.catch(() => {});
      return done;
    };
    if (!this.#mute) return go();
    this.#held.push(() => void go().catch(() => {}));
    return Promise.resolve();
  }

  /** Nothing comes through any more. */
  silence(): void {
    this.#silent = this.#mute = true;
  }

  /** What the client writes does not come through any more. */
  mute(): void {
    this.#mute = true;
  }

  /** What has waited goes on its way. Writes go first, since who reads may write at once. */
  wake(): void {
    this.#silent = this.#mute = false;
    const held = this.#held;
    const read = this.#heldRead;
    this.#held = [];
    this.#heldRead = undefined;
    for (const go of held) go();
    read?.();
  }

  end(reason?: Error): void {
    this.#abort(reason);
    this.wake();
  }
}
