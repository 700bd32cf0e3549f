/**
 * Loads what clients need when they connect. It is imported when the first one does.
 *
 * @module
 */

import type * as Comebacks from "./comeback.ts";
import type * as Parts from "./connection_parts.ts";

/** The code of connections. */
export type ConnectionParts = typeof Parts;

/** The code that brings sessions back. */
export type ComebackParts = typeof Comebacks;

/** What has been loaded. Asking the module loader each time is expensive compared with a `connect()`. */
const LOADED: { parts?: ConnectionParts; comebacks?: ComebackParts } = {};

/** Returns the code of connections. */
export function loadParts(): ConnectionParts | Promise<ConnectionParts> {
  return LOADED.parts ?? import("./connection_parts.ts").then((parts) => LOADED.parts = parts);
}

/** Returns the code that brings sessions back. */
export function loadComebacks(): ComebackParts | Promise<ComebackParts> {
  return LOADED.comebacks ?? import("./comeback.ts").then((comebacks) => LOADED.comebacks = comebacks);
}
