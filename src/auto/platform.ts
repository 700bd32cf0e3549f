/**
 * Sockets and threads of the runtime that this is, for the Server and the Client of the entry.
 *
 * @module
 */

import type { Platform } from "../app/platform.ts";
import { runtimeLoop } from "../adapters/runtime_loop.ts";
import { loadThreads } from "./load_threads.ts";
import { loadTransport } from "./load_transport.ts";

/** The platform of every runtime. Its event loop is for transports without one of their own: all of them take turns. */
export const RUNTIME: Platform = { eventLoop: runtimeLoop(), loadTransport, loadThreads };
