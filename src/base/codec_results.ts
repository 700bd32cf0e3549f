/**
 * Checks of what a codec returned. Codecs are a program's own, and no compiler sees what comes out of all of them.
 *
 * @module
 */

import { PayloadError } from "../errors.ts";
import { isThenable } from "./thenable.ts";

/** What a codec made of a value, checked: it may be of the program's own making. */
export function checkPayload(name: string, payload: unknown): Uint8Array | string {
  if (typeof payload === "string" || payload instanceof Uint8Array) return payload;
  throw new PayloadError(
    "invalid-payload",
    `Cannot encode "${name}": its codec returned ${named(payload)}, which is neither a Uint8Array nor a string`,
  );
}

/** What a codec made of a payload, checked. */
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

/** Names the type of a value as its program calls it: the class of an object, such as Float32Array. Never throws. */
export function describeType(value: unknown): string {
  if (value === null) return "null";
  if (typeof value !== "object") return typeof value;
  if (Array.isArray(value)) return "an array";
  const name = classOf(value);
  return name === "Object" || name === "" ? "object" : name;
}

/** The name of an object's class, empty where it has none; a proxy or getter may throw. */
function classOf(value: object): string {
  try {
    const { constructor: made } = value;
    return typeof made === "function" && typeof made.name === "string" ? made.name.slice(0, 100) : "";
  } catch {
    return "";
  }
}
