/**
 * Sockets and threads of the runtime that this is, for the Server and the Client of the entry.
 *
 * @module
 */

import type { Platform } from "../app/platform.ts";
import { runtimeLoop } from "../adapters/runtime_loop.ts";
import { loadThreads } from "./load_threads.ts";
import { loadTransport } from "./load_transport.ts";

/** The platform of every runtime. There is one event loop in a program, so that all who use it take turns with each other. */
export const RUNTIME: Platform = { eventLoop: runtimeLoop(), loadTransport, loadThreads };
