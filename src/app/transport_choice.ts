/**
 * The option `transport`.
 *
 * @module
 */

import type { EventLoop } from "../base/clock.ts";
import { checkFunction, show } from "../base/checks.ts";
import type { Transport } from "../transport.ts";

/**
 * Which sockets to use: `"auto"` for the best of the runtime, those of one runtime by name, or a {@linkcode Transport}.
 *
 * @category Options
 */
export type TransportChoice = "auto" | "bun" | "deno" | "node" | Transport;

const NAMES: readonly unknown[] = ["auto", "bun", "deno", "node"];

/**
 * Checks the option `transport`. Returns it.
 *
 * @param name The name of the option, for error messages.
 * @throws {RangeError | TypeError} It is neither a known name nor a Transport, or one of its members is wrong.
 */
export function transportOf(name: string, value: unknown): TransportChoice {
  if (NAMES.includes(value)) return value as TransportChoice;
  if (typeof value !== "object" || value === null) {
    const right = `${name} must be ${NAMES.join(", ")} or a Transport, not ${show(value)}`;
    throw typeof value === "string" ? new RangeError(right) : new TypeError(right);
  }
  const transport = value as Transport;
  checkFunction(`${name}.connect`, transport.connect);
  checkFunction(`${name}.listen`, transport.listen);
  if (transport.eventLoop !== undefined) checkLoop(`${name}.eventLoop`, transport.eventLoop);
  return transport;
}

/** Checks that an event loop is complete. With only some of its members, two clocks would be mixed. */
function checkLoop(name: string, loop: EventLoop): void {
  checkObject(name, loop, "an EventLoop");
  checkFunction(`${name}.defer`, loop.defer);
  checkFunction(`${name}.yield`, loop.yield);
  if (loop.throttled !== undefined) checkFunction(`${name}.throttled`, loop.throttled);
  if (loop.random !== undefined) checkFunction(`${name}.random`, loop.random);
  checkObject(`${name}.clock`, loop.clock, "a Clock");
  for (const part of ["now", "setTimeout", "clearTimeout", "unref"] as const) {
    checkFunction(`${name}.clock.${part}`, loop.clock[part]);
  }
}

function checkObject(name: string, value: unknown, what: string): void {
  if (typeof value !== "object" || value === null) throw new TypeError(`${name} must be ${what}, not ${show(value)}`);
}
