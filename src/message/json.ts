/**
 * JSON from a peer, read with care: bounded depth, no `__proto__` keys, and validators that speak Standard Schema
 * (https://standardschema.dev).
 *
 * @module
 */

import { PayloadError } from "../errors.ts";
import { decodeUtf8 } from "./utf8.ts";

/** How deep arrays and objects of a peer may nest: deeper than any sane message, shallow enough for any recursion. */
const MAX_JSON_DEPTH = 128;

/** The part of the Standard Schema interface, version 1, that is used here. */
export interface StandardSchema<In = unknown, Out = In> {
  /** The schema's own description of itself. */
  readonly "~standard": {
    /** 1. */
    readonly version: 1;
    /** Who made the validator. */
    readonly vendor: string;
    /** Checks a value. */
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>;
    /** Types only, never there at run time. */
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
  };
}

/** A validator's result: the value, or what is wrong with it. */
export type SchemaResult<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One problem that a validator found. */
export interface SchemaIssue {
  /** What is wrong. */
  readonly message: string;
  /** Where, from the root. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/**
 * Encodes a value as JSON.
 *
 * @param value Anything that JSON can represent.
 * @returns UTF-8 text.
 * @throws {PayloadError} `invalid-payload`: a cycle, a bigint, a function, or `undefined`.
 */
export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(stringify(value));
}

/**
 * Decodes JSON from a peer.
 *
 * @param bytes UTF-8 text; not changed.
 * @returns The value. Its type is not checked: give {@linkcode json} a schema for that.
 * @throws {PayloadError} `invalid-payload`: not JSON, nested more than 128 deep, or with a key `__proto__`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { decodeJson, encodeJson } from "@veltix/core";
 *
 * assertEquals(decodeJson(encodeJson({ a: [1, 2] })), { a: [1, 2] });
 * ```
 */
export function decodeJson(bytes: Uint8Array): unknown {
  const text = decodeUtf8(bytes);
  // A text shorter than two brackets a level can't be too deep.
  if (text.length >= 2 * MAX_JSON_DEPTH && depthOf(text) > MAX_JSON_DEPTH) {
    throw new PayloadError("invalid-payload", `Cannot decode the JSON: it nests more than ${MAX_JSON_DEPTH} deep`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PayloadError("invalid-payload", "Cannot decode the JSON: it is malformed", { cause });
  }
  if ((text.includes("__proto__") || text.includes("\\u")) && hasProtoKey(value)) {
    throw new PayloadError("invalid-payload", 'Cannot decode the JSON: it has a key "__proto__"');
  }
  return value;
}

/** `JSON.stringify` that throws what {@linkcode encodeJson} promises. */
export function stringify(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "its toJSON() threw";
    throw new PayloadError("invalid-payload", `Cannot encode the value as JSON: ${why}`, { cause });
  }
  if (text === undefined) {
    throw new PayloadError("invalid-payload", `Cannot encode the value as JSON: JSON has no ${typeof value}`);
  }
  return text;
}

/** What a schema makes of a value. */
export function validate<Out>(schema: StandardSchema<unknown, Out>, value: unknown): Out {
  const result = schema["~standard"].validate(value);
  if (isThenable(result)) {
    result.then(undefined, () => {});
    throw new PayloadError(
      "invalid-payload",
      "Cannot check the payload: the schema answered with a promise, as it is asynchronous or a function in it threw",
    );
  }
  if (result.issues === undefined) return result.value;
  const [issue] = result.issues;
  const path = (issue?.path ?? []).map((step) => String(typeof step === "object" ? step.key : step)).join(".");
  throw new PayloadError(
    "invalid-payload",
    `The payload is invalid: ${path === "" ? "" : `${path}: `}${issue?.message ?? "the schema refused it"}`,
    { cause: result.issues },
  );
}

/** Whether this is a promise or behaves like one. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

function depthOf(text: string): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (quoted) {
      if (unit === 0x5c) i++;
      else if (unit === 0x22) quoted = false;
    } else if (unit === 0x22) quoted = true;
    else if (unit === 0x5b || unit === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (unit === 0x5d || unit === 0x7d) depth--;
  }
  return deepest;
}

function hasProtoKey(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (Object.hasOwn(value, "__proto__")) return true;
  return Object.values(value).some(hasProtoKey);
}
