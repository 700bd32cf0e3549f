/**
 * Connects a runtime that pushes accepted connections (Node, Bun, memory) with a loop that iterates over them.
 *
 * @module
 */

import type { Connection } from "../transport.ts";

type Result = IteratorResult<Connection, undefined>;

/** A queue of accepted connections. Several loops may share it. Leaving a loop does not close it. */
export class AcceptQueue {
  #connections: Connection[] = [];
  #waiting: PromiseWithResolvers<Result>[] = [];
  #end: { readonly error: Error | undefined } | undefined;

  /** Adds a connection. Aborts it instead if the queue has ended. */
  push(connection: Connection): void {
    if (this.#end) return connection.abort();
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve({ done: false, value: connection });
    else this.#connections.push(connection);
  }

  /** Ends the queue and aborts the connections that nobody took. With `error`, waiting loops reject. */
  end(error?: Error): void {
    if (this.#end) return;
    this.#end = { error };
    for (const connection of this.#connections.splice(0)) connection.abort();
    for (const waiting of this.#waiting.splice(0)) {
      if (error) waiting.reject(error);
      else waiting.resolve({ done: true, value: undefined });
    }
  }

  /** Returns an iterator over the connections as they come. */
  iterate(): AsyncIterator<Connection> {
    return { next: () => this.#next() };
  }

  #next(): Promise<Result> {
    const connection = this.#connections.shift();
    if (connection) return Promise.resolve({ done: false, value: connection });
    if (this.#end?.error) return Promise.reject(this.#end.error);
    if (this.#end) return Promise.resolve({ done: true, value: undefined });
    const waiting = Promise.withResolvers<Result>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }
}
