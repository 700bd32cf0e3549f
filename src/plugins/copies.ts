/**
 * Copies for plugins that must not reach the values of the program: data, results, errors, and what events say.
 *
 * @module
 */

import { checkPayload, describeType } from "../base/codec_results.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import type { Codec } from "../message/codecs.ts";
import type { PluginFailure } from "./plugin_host.ts";

/**
 * Returns a deep copy of a value of the program, as `structuredClone` makes it. Buffers become `Uint8Array`s. A view in
 * it has a buffer with its own bytes only.
 *
 * @param what What the message calls the value.
 * @throws {TypeError} It cannot be copied, as functions cannot.
 */
export function copyOf(what: string, value: unknown): unknown {
  if (typeof value !== "object" && typeof value !== "function" || value === null) return value;
  try {
    return value instanceof Uint8Array ? new Uint8Array(value) : compact(structuredClone(value));
  } catch {
    throw new TypeError(`Cannot copy ${what} for a plugin: it is ${describeType(value)}, or has one that is no data`);
  }
}

/**
 * Gives each view in a clone a buffer of its own, and returns the clone. `structuredClone` copies the whole buffer of a
 * view, which may have data of others: Node allocates small Buffers from one pool. It does not copy shared memory at all.
 */
function compact(clone: unknown): unknown {
  const copies = new Map<object, object>();
  const holders = new Set<object>();
  const own = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null) return value;
    if (!isShared(value) && !(ArrayBuffer.isView(value) && isPart(value))) {
      holders.add(value);
      return value;
    }
    const copy = copies.get(value) ?? copyOfBytes(value);
    copies.set(value, copy);
    return copy;
  };
  const all = own(clone);
  // The set grows while this goes through it, so that deep values need no deep stack.
  for (const holder of holders) ownMembers(holder, own);
  return all;
}

/** Replaces the members of a holder by what a function makes of them. */
function ownMembers(holder: object, own: (value: unknown) => unknown): void {
  if (ArrayBuffer.isView(holder)) return;
  if (holder instanceof Map) {
    const entries = [...holder];
    holder.clear();
    for (const [key, value] of entries) holder.set(own(key), own(value));
  } else if (holder instanceof Set) {
    const values = [...holder];
    holder.clear();
    for (const value of values) holder.add(own(value));
  }
  const members = holder as Record<string, unknown>;
  // The cause of an error is not enumerable.
  for (const name of holder instanceof Error ? Object.getOwnPropertyNames(holder) : Object.keys(holder)) {
    const member = members[name];
    const owned = own(member);
    if (owned !== member) members[name] = owned;
  }
}

/** Returns whether a view is of shared memory, or of a part of its buffer. */
function isPart({ buffer, byteLength }: ArrayBufferView): boolean {
  return isShared(buffer) || buffer.byteLength !== byteLength;
}

function isShared(value: object): value is SharedArrayBuffer {
  // Pages have shared memory only if their server allows it.
  return typeof SharedArrayBuffer === "function" && value instanceof SharedArrayBuffer;
}

/** Returns a copy of shared memory, or of a view without what else is in its buffer. */
function copyOfBytes(value: SharedArrayBuffer | ArrayBufferView): object {
  if (isShared(value)) return value.slice(0);
  const { buffer } = new Uint8Array(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  return new (value.constructor as new (buffer: ArrayBuffer) => object)(buffer);
}

/** Returns what a peer would decode of a value of this type that is about to be sent. Throws what the codec throws. */
export function recoded(name: string, codec: Codec<unknown>, value: unknown): unknown {
  return codec.decode(new Uint8Array(bytesOf(name, codec, value)));
}

/** Returns a value of this type as bytes. Throws what the codec throws. */
export function bytesOf(name: string, codec: Codec<unknown>, value: unknown): Uint8Array {
  const encoded = checkPayload(name, codec.encode(value));
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
