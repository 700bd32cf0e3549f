/**
 * Compares values and shows them as text that is the same on every runtime.
 *
 * @module
 */

import { hexOf } from "../base/hex.ts";

/** The longest text of a value, in characters. */
const LONGEST = 200;

/**
 * Returns whether a value is what was expected. An expected object has the members that the value must have; the value
 * may have more. Arrays, bytes, maps and sets must be equal.
 */
export function matches(actual: unknown, expected: unknown): boolean {
  if (Object.is(actual, expected)) return true;
  if (typeof expected !== "object" || expected === null || typeof actual !== "object" || actual === null) return false;
  if (ArrayBuffer.isView(expected)) return sameBytes(actual, expected);
  if (Array.isArray(expected)) {
    return Array.isArray(actual) && actual.length === expected.length &&
      expected.every((item, i) => matches(actual[i], item));
  }
  if (expected instanceof Date) return actual instanceof Date && actual.getTime() === expected.getTime();
  if (expected instanceof Set) return actual instanceof Set && matches([...actual], [...expected]);
  if (expected instanceof Map) return actual instanceof Map && matches([...actual], [...expected]);
  if (Array.isArray(actual) || ArrayBuffer.isView(actual)) return false;
  const names = Object.keys(expected);
  if (expected instanceof Error) names.push("name", "message");
  return names.every((name) =>
    matches((actual as Record<string, unknown>)[name], (expected as unknown as Record<string, unknown>)[name])
  );
}

function sameBytes(actual: object, expected: ArrayBufferView): boolean {
  if (!ArrayBuffer.isView(actual) || actual.byteLength !== expected.byteLength) return false;
  const [a, b] = [actual, expected].map((view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  return a.every((byte, i) => byte === b[i]);
}

/** Returns a value as one line of text, cut to 200 characters. Never throws. */
export function show(value: unknown): string {
  const text = textOf(value, 0);
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`;
}

function textOf(value: unknown, depth: number): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return `function ${value.name}`;
  if (typeof value !== "object" || value === null) return String(value);
  if (value instanceof Uint8Array) return `${value.length} bytes ${hexOf(value.subarray(0, 32))}`.trimEnd();
  if (value instanceof Error) {
    const { code } = value as { code?: unknown };
    return `${value.name}${typeof code === "string" ? ` ${code}` : ""}: ${value.message}`;
  }
  if (depth > 3) return "…";
  try {
    if (Array.isArray(value)) return `[${value.map((item) => textOf(item, depth + 1)).join(", ")}]`;
    if (value instanceof Date) return value.toJSON();
    const kind = value.constructor?.name ?? "Object";
    if (value instanceof Map || value instanceof Set) return `${kind} ${textOf([...value], depth + 1)}`;
    // The objects of a library have members that refer to each other.
    if (kind !== "Object") return kind;
    const members = Object.entries(value).filter(([, member]) => member !== undefined);
    return `{${members.map(([name, member]) => `${name}: ${textOf(member, depth + 1)}`).join(", ")}}`;
  } catch {
    return "something that cannot be shown";
  }
}
