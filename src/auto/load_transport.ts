/**
 * Finds the sockets that a `transport` names, and imports only those.
 *
 * @module
 */

import type { TransportChoice } from "../app/transport_choice.ts";
// The adapters come later, perhaps when a test has faked time already.
import "../base/real_time.ts";
import type { Transport } from "../transport.ts";

/** Those that were loaded. To ask the module loader each time is expensive beside a whole `connect()`. */
const LOADED: { [core in "bun" | "deno" | "node"]?: Transport } = {};

/** The sockets of that name. A runtime never loads another's adapter. */
export function loadTransport(core: Exclude<TransportChoice, Transport>): Transport | Promise<Transport> {
  const name = core === "auto" ? preferred() : core;
  return LOADED[name] ?? load(name);
}

async function load(name: "bun" | "deno" | "node"): Promise<Transport> {
  const made = await make(name);
  // Others may have asked meanwhile: all get the same.
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

/** What `"auto"` stands for. Measured: see "Which sockets" in `docs/performance.md`. */
function preferred(): "bun" | "deno" | "node" {
  const { Bun, Deno } = globalThis as { Bun?: unknown; Deno?: unknown };
  return Bun !== undefined ? "bun" : Deno !== undefined ? "deno" : "node";
}
