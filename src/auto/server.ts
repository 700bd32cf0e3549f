/**
 * The Server of the entry: the one of the core, which finds sockets and threads by itself.
 *
 * @module
 */

import type { Platform } from "../app/platform.ts";
import { Server as CoreServer } from "../server/server.ts";
import { RUNTIME } from "./platform.ts";

/** See `Server` of the core, whose types and docs the entry shows. */
export class Server<P = undefined> extends CoreServer<P> {
  /** What finds sockets and threads. */
  static readonly platform: Platform = RUNTIME;
}
