/**
 * Where the core meets the adapters: finds the sockets that a `socketCore` names, and imports only those.
 *
 * @module
 */

import type { SocketCore } from "./options.ts";
import type { Transport } from "./transport.ts";

/** The sockets of a `socketCore`. A runtime never loads another's adapter. */
export async function loadTransport(core: SocketCore): Promise<Transport> {
  if (typeof core === "object") return core;
  switch (core === "auto" ? preferred() : core) {
    case "bun":
      return (await import("./adapters/bun.ts")).bunTransport();
    case "deno":
      return (await import("./adapters/deno.ts")).denoTransport();
    default:
      return (await import("./adapters/node.ts")).nodeTransport();
  }
}

/** What `"auto"` stands for. Measured: see "Which sockets" in `docs/performance.md`. */
function preferred(): "bun" | "deno" | "node" {
  const { Bun, Deno } = globalThis as { Bun?: unknown; Deno?: unknown };
  return Bun !== undefined ? "bun" : Deno !== undefined ? "deno" : "node";
}
