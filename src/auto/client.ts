/**
 * The Client of the entry: the one of the core, which finds sockets and threads by itself.
 *
 * @module
 */

import type { Platform } from "../app/platform.ts";
import { Client as CoreClient } from "../client/client.ts";
import { RUNTIME } from "./platform.ts";

/** See `Client` of the core, whose types and docs the entry shows. */
export class Client extends CoreClient {
  /** What finds sockets and threads. */
  static readonly platform: Platform = RUNTIME;
}
