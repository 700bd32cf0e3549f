/**
 * The interface by which the core finds sockets and threads without importing them. The classes of the package's entry
 * have a static member `platform` that implements it. A program that does not need it uses the classes of the core.
 *
 * @module
 */

import { ConfigError } from "../errors.ts";
import type { EventLoop } from "../base/clock.ts";
import type { CompressionCodec } from "../compression_seam.ts";
import type { Threads } from "../thread_seam.ts";
import type { Encryption } from "../encryption_seam.ts";
import type { TlsSockets } from "../tls_seam.ts";
import type { Transport } from "../transport.ts";
import type { WebSockets } from "../websocket_seam.ts";
import type { TransportChoice } from "./transport_choice.ts";

/** Finds the parts that differ between runtimes. */
export interface Platform {
  /** The event loop of the runtime, for transports that have none of their own. */
  readonly eventLoop: EventLoop;
  /** Loads the sockets with this name, or rejects with a `ConfigError`. */
  loadTransport(name: Exclude<TransportChoice, Transport>): Transport | Promise<Transport>;
  /** Loads the threads of the runtime. */
  loadThreads(): Promise<Threads>;
  /** Loads the encryption. */
  loadEncryption(): Encryption | Promise<Encryption>;
  /** Loads TLS. */
  loadTls(): Promise<TlsSockets>;
  /** Loads the WebSockets. */
  loadWebSockets(): Promise<WebSockets>;
  /** Loads the codecs of compression that the runtime has, best first. */
  loadCompression(): readonly CompressionCodec[];
}

/** Returns the platform of a class or of one that it extends; `undefined` for the classes of the core. */
export function platformOf(made: object): Platform | undefined {
  return (made as { readonly platform?: Platform }).platform;
}

/** Returns the error for the name of a transport that cannot be loaded. */
export function noTransport(name: string, option: string): ConfigError {
  return new ConfigError(
    "unsupported",
    `${option} "${name}" cannot be loaded by this entry of the package: give a Transport, or use that of "@veltix/core"`,
  );
}

/** Returns the error for an option whose code cannot be loaded. */
export function noLoader(option: string): ConfigError {
  return new ConfigError(
    "unsupported",
    `${option} cannot be loaded by this entry of the package: use that of "@veltix/core"`,
  );
}

/** Returns the error for threads that cannot be loaded. */
export function noThreads(): ConfigError {
  return new ConfigError(
    "unsupported",
    'workerRoute() cannot start threads by this entry of the package: use route(), or that of "@veltix/core"',
  );
}
