/**
 * The Server of the package's entry: that of the core, which here finds sockets and threads by itself.
 *
 * @module
 */

import type { Platform } from "../app/platform.ts";
import { Server as CoreServer } from "../server/server.ts";
import { RUNTIME } from "./platform.ts";

/** See `Server` of the core. The entry shows the types and docs of that one. */
export class Server<P = undefined> extends CoreServer<P> {
  /** Loads the sockets and threads of the runtime. */
  static readonly platform: Platform = RUNTIME;
}
