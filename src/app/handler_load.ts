/**
 * The handlers at work for one client, whichever of its connections brought their messages. A server that ends one connection
 * after the other may not bring more work than it may on one: so what still runs counts for the next connection.
 *
 * @module
 */

import type { Route } from "./routes.ts";

/** The handlers at work for one client. */
export class HandlerLoad {
  /** How many asynchronous ones run. */
  running = 0;
  /** Bytes of their payloads. */
  bytes = 0;
  /** The ordered routes among theirs. Made when there is one. */
  busy: Set<Route> | undefined = undefined;
  /** The newest connection, where messages may wait for one of them. */
  waiting: { resume(): void } | undefined = undefined;
}
