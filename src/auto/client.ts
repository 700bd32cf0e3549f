/**
 * The Client of the package's entry: that of the core, which here finds sockets and threads by itself.
 *
 * @module
 */

import type { Platform } from "../app/platform.ts";
import { Client as CoreClient } from "../client/client.ts";
import { RUNTIME } from "./platform.ts";

/** See `Client` of the core. The entry shows the types and docs of that one. */
export class Client extends CoreClient {
  /** Loads the sockets and threads of the runtime. */
  static readonly platform: Platform = RUNTIME;
}
