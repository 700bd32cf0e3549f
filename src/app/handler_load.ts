/**
 * The running handlers of one client, over all its connections. Handlers that still run from earlier connections count
 * for the next one. Otherwise a server that ends one connection after the other could cause any amount of work.
 *
 * @module
 */

/** The running handlers of one client. */
export class HandlerLoad {
  /** The number of asynchronous handlers that are running. */
  running = 0;
  /** The size of their payloads, in bytes. */
  bytes = 0;
  /** The number of handlers of streams that are running. */
  streams = 0;
  /** Their ordered routes; see `HandlerRunner.busy`. Created when there is one. */
  busy: Set<object> | undefined = undefined;
  /** The dispatcher of the newest connection, whose messages may wait for one of them. */
  waiting: { resume(): void } | undefined = undefined;
}
