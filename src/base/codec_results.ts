/**
 * Checks what a codec returns. Programs bring codecs of their own, and a compiler does not see what all of them return.
 *
 * @module
 */

import { PayloadError } from "../errors.ts";
import { isThenable } from "./thenable.ts";

/**
 * Returns the payload that a codec encoded. Throws a `PayloadError` if it is neither bytes nor a string, or if its memory was
 * given away.
 */
export function checkPayload(name: string, payload: unknown): Uint8Array | string {
  if (typeof payload === "string") return payload;
  if (payload instanceof Uint8Array) {
    if (payload.length > 0 || (payload.buffer as ArrayBuffer).detached !== true) return payload;
    throw new PayloadError("invalid-payload", `Cannot send "${name}": the memory of its payload was given away before`);
  }
  throw new PayloadError(
    "invalid-payload",
    `Cannot encode "${name}": its codec returned ${named(payload)}, which is neither a Uint8Array nor a string`,
  );
}

/** Returns the value that a codec decoded. Throws a `PayloadError` if it is a promise. */
export function checkData(name: string, data: unknown): unknown {
  if (!isThenable(data)) return data;
  throw new PayloadError("invalid-payload", `Cannot decode "${name}": its codec returned ${named(data)}, not a value`);
}

/** Names what a codec returned. A promise is not waited for, but its rejection must not end the process. */
function named(value: unknown): string {
  if (!isThenable(value)) return describeType(value);
  Promise.resolve(value).then(undefined, () => {});
  return "a promise";
}

/**
 * Returns the name of a value's type as its program calls it: for an object its class, such as Float32Array. Never
 * throws.
 */
export function describeType(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  if (Array.isArray(value)) return "an array";
  const name = classOf(value);
  return name === "Object" || name === "" ? "object" : name;
}

/** Returns the name of an object's class; empty if it has none, or if a proxy or a getter throws. */
function classOf(value: object): string {
  try {
    const { constructor: made } = value;
    return typeof made === "function" && typeof made.name === "string" ? made.name.slice(0, 100) : "";
  } catch {
    return "";
  }
}
