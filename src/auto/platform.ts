/**
 * Sockets and threads of the runtime that this is, for the Server and the Client of the entry.
 *
 * @module
 */

import type { Platform } from "../app/platform.ts";
import { loadThreads } from "./load_threads.ts";
import { loadTransport } from "./load_transport.ts";

/** The platform of every runtime. */
export const RUNTIME: Platform = { loadTransport, loadThreads };
