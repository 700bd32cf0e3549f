/**
 * Copies for plugins that must not reach the values of the program: data, results, errors, and what events say.
 *
 * @module
 */

import { describeType } from "../base/codec_results.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import type { Codec } from "../message/codecs.ts";
import type { PluginFailure } from "./plugin_host.ts";

/**
 * Returns a deep copy of a value of the program, as `structuredClone` makes it.
 *
 * @param what What the message calls the value.
 * @throws {TypeError} It cannot be copied, as functions cannot.
 */
export function copyOf(what: string, value: unknown): unknown {
  if (typeof value !== "object" && typeof value !== "function" || value === null) return value;
  try {
    // A view would bring its whole buffer with it.
    return value instanceof Uint8Array ? value.slice() : structuredClone(value);
  } catch {
    throw new TypeError(`Cannot copy ${what} for a plugin: it is ${describeType(value)}, or has one that is no data`);
  }
}

/** Returns what a peer would decode of a value that is about to be sent. Throws what the codec throws. */
export function recoded(codec: Codec<unknown>, value: unknown): unknown {
  return codec.decode(bytesOf(codec, value).slice());
}

/** Returns a value as bytes. Throws what the codec throws. */
export function bytesOf(codec: Codec<unknown>, value: unknown): Uint8Array {
  const encoded = codec.encode(value);
  return typeof encoded === "string" ? encodeUtf8(encoded) : encoded;
}

/** Returns what an error says, without the error. Never throws. */
export function failureOf(error: unknown): PluginFailure {
  try {
    const { name, message, code } = (error ?? {}) as { name?: unknown; message?: unknown; code?: unknown };
    return Object.freeze({
      name: typeof name === "string" ? name : describeType(error),
      message: typeof message === "string" ? message : describeType(error),
      code: typeof code === "string" ? code : undefined,
    });
  } catch {
    // Anything can be thrown, even an object whose members cannot be read.
    return Object.freeze({ name: "Error", message: "It cannot be read", code: undefined });
  }
}

/** How deep the arguments of events are copied. They are flat, but for addresses and errors. */
const DEEP = 3;

/** Returns a frozen copy of what an event says. Functions are left out, and errors become what they say. */
export function saidBy(value: unknown, depth: number = 0): unknown {
  if (value instanceof Error) return failureOf(value);
  if (typeof value === "function") return undefined;
  if (typeof value !== "object" || value === null) return value;
  if (depth === DEEP) return describeType(value);
  if (Array.isArray(value)) return Object.freeze(value.map((one) => saidBy(one, depth + 1)));
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return describeType(value);
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([name, one]) => [name, saidBy(one, depth + 1)])));
}
