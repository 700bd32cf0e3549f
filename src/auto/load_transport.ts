/**
 * Loads the sockets that the option `transport` names, and imports no others.
 *
 * @module
 */

import type { TransportChoice } from "../app/transport_choice.ts";
// Keep the real timers now: the adapters are imported later, perhaps after a test has faked the time.
import "../base/real_time.ts";
import type { Transport } from "../transport.ts";

/**
 * The transports that have been loaded. Asking the module loader each time is expensive compared with a `connect()`.
 */
const LOADED: { [core in "bun" | "deno" | "node"]?: Transport } = {};

/** Returns the sockets of a name. A runtime never loads the adapter of another one. */
export function loadTransport(core: Exclude<TransportChoice, Transport>): Transport | Promise<Transport> {
  const name = core === "auto" ? preferred() : core;
  return LOADED[name] ?? load(name);
}

async function load(name: "bun" | "deno" | "node"): Promise<Transport> {
  const made = await make(name);
  // Another call may have loaded it meanwhile. All callers get the same transport.
  return LOADED[name] ??= made;
}

async function make(name: "bun" | "deno" | "node"): Promise<Transport> {
  switch (name) {
    case "bun":
      return (await import("../adapters/bun.ts")).bunTransport();
    case "deno":
      return (await import("../adapters/deno.ts")).denoTransport();
    case "node":
      return (await import("../adapters/node.ts")).nodeTransport();
  }
}

/** Returns the name that `"auto"` stands for. Measured: see "Which sockets" in `docs/performance.md`. */
function preferred(): "bun" | "deno" | "node" {
  const { Bun, Deno } = globalThis as { Bun?: unknown; Deno?: unknown };
  return Bun !== undefined ? "bun" : Deno !== undefined ? "deno" : "node";
}
