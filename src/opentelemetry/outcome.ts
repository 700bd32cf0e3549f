/**
 * Describes how a call ended, by few words: the code of an error, or its name.
 *
 * @module
 */

import { RemoteError } from "../errors.ts";
import type { AnyType } from "../app/middleware.ts";
import { declares } from "../message/declared_errors.ts";
import { OTHER } from "./names.ts";

/** The longest code or name that is recorded. */
const MAX = 100;

/** The longest message of an error that is recorded. */
const MAX_MESSAGE = 500;

/** The codes with which the library itself answers. */
const LIBRARY_CODES = new Set([
  "cancelled",
  "deadline-exceeded",
  "going-away",
  "handler-failed",
  "invalid-payload",
  "no-reply-codec",
  "no-route",
  "payload-too-large",
  "rate-limited",
  "timeout",
  "too-many-streams",
  "worker-crashed",
]);

/** Returns the code of an error, or its name. Never throws, whatever the error is. */
export function errorType(error: unknown): string {
  try {
    const { code, name } = (error ?? {}) as { readonly code?: unknown; readonly name?: unknown };
    for (const text of [code, name]) {
      if (typeof text === "string" && text !== "") return text.slice(0, MAX);
    }
  } catch {
    // Anything can be thrown, even a value whose members cannot be read.
  }
  return OTHER;
}

/** Returns the same for metrics. */
export function metricErrorType(error: unknown, type?: AnyType): string {
  return metricCode(errorType(error), error, type);
}

/**
 * Returns the code of an error as metrics have it. A code that only the peer knows is left out, because the peer may
 * invent any number of them. It is left out on whichever side and in whichever call the error comes up again.
 */
export function metricCode(code: string, error: unknown, type?: AnyType): string {
  if (!isRemote(error) || LIBRARY_CODES.has(code)) return code;
  return type !== undefined && declares(type, error) ? code : OTHER;
}

/** Returns whether an error is the answer of a peer. Never throws, whatever the error is. */
function isRemote(error: unknown): boolean {
  try {
    return error instanceof RemoteError;
  } catch {
    // As above.
    return false;
  }
}

/** Returns the code with which a handler's error reaches the peer. */
export function answerCode(error: unknown): string {
  try {
    const { code } = (error ?? {}) as { readonly code?: unknown };
    if (typeof code === "string") return code.slice(0, MAX);
  } catch {
    // As above.
  }
  return "handler-failed";
}

/** Returns the message of an error; `undefined` if it has none. Never throws. */
export function errorMessage(error: unknown): string | undefined {
  try {
    const { message } = (error ?? {}) as { readonly message?: unknown };
    return typeof message === "string" ? message.slice(0, MAX_MESSAGE) : undefined;
  } catch {
    return undefined;
  }
}
