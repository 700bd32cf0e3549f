/**
 * The sockets and threads of the current runtime, for the Server and the Client of the package's entry.
 *
 * @module
 */

import type { Platform } from "../app/platform.ts";
import { runtimeLoop } from "../adapters/runtime_loop.ts";
import { loadCompression } from "./load_compression.ts";
import { loadEncryption } from "./load_encryption.ts";
import { loadThreads } from "./load_threads.ts";
import { loadTls } from "./load_tls.ts";
import { loadTransport } from "./load_transport.ts";
import { loadWebSockets } from "./load_web_sockets.ts";

/** The platform of every runtime. All transports without an event loop of their own take turns in this one. */
export const RUNTIME: Platform = {
  eventLoop: runtimeLoop(),
  loadTransport,
  loadThreads,
  loadTls,
  loadWebSockets,
  loadEncryption,
  loadCompression,
};
