/**
 * What the entry of the package brings along, so that the core finds sockets and threads and yet imports none. The entry
 * has classes of its own with a static member `platform`; a program that needs no loaders takes those of the core.
 *
 * @module
 */

import { ConfigError } from "../errors.ts";
import type { EventLoop } from "../base/clock.ts";
import type { Threads } from "../thread_seam.ts";
import type { Transport } from "../transport.ts";
import type { TransportChoice } from "./transport_choice.ts";

/** Finds what differs between runtimes. */
export interface Platform {
  /** The time and the turns of the runtime, for a transport that has none of its own. */
  readonly eventLoop: EventLoop;
  /** Loads the sockets of a name, or rejects with a `ConfigError`. */
  loadTransport(name: Exclude<TransportChoice, Transport>): Transport | Promise<Transport>;
  /** Loads what starts threads. */
  loadThreads(): Promise<Threads>;
}

/** The platform of a class, inherited ones included; `undefined` for those of the core. */
export function platformOf(made: object): Platform | undefined {
  return (made as { readonly platform?: Platform }).platform;
}

/** The error for a transport by name where nobody can load it. */
export function noTransport(name: string, option: string): ConfigError {
  return new ConfigError(
    "unsupported",
    `${option} "${name}" cannot be loaded by this entry of the package: give a Transport, or use that of "@veltix/core"`,
  );
}

/** The error for threads where nobody can load them. */
export function noThreads(): ConfigError {
  return new ConfigError(
    "unsupported",
    'workerRoute() cannot start threads by this entry of the package: use route(), or that of "@veltix/core"',
  );
}
