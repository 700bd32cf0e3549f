/**
 * The messages between the program and its worker threads.
 *
 * @module
 */

import { UnreadableError } from "../base/unreadable.ts";
import { PayloadError } from "../errors.ts";
import type { Metadata } from "../wire/metadata.ts";

/**
 * The sender of a message, as a worker sees it.
 *
 * @category Workers
 */
export interface WorkerPeer {
  /** The `id` of its `ConnectedClient`. */
  readonly id: number;
  /** Its address: `{ hostname, port }`, or `{ path }`. */
  readonly address: { readonly hostname: string; readonly port: number } | { readonly path: string };
}

/** Everything but the payload of a message. */
export interface TaskInfo {
  /** The sender's id for the message. */
  readonly requestId: number | string;
  /** When the message arrived, in milliseconds since 1970. */
  readonly receivedAt: number;
  /** When the message was sent, in milliseconds since 1970; `undefined` if the protocol does not say. */
  readonly sentAt: number | undefined;
  /** True if the sender waits for a reply. */
  readonly wantsReply: boolean;
  /** The client that sent it; `undefined` if a server sent it. */
  readonly client: WorkerPeer | undefined;
  /** Its metadata. */
  readonly meta: Metadata;
  /** How long the sender still waits when the thread gets the message, in milliseconds; `undefined` if it does not say. */
  readonly timeLeft: number | undefined;
}

/** A payload to be transferred: the bytes of `buffer` from `start` to its end. */
export interface Payload {
  /** A buffer that nothing else uses. */
  readonly buffer: ArrayBuffer;
  /** The offset of the payload. It is not 0 if the buffer contains the frame's header, too. */
  readonly start: number;
}

/** A message from the program to a worker. */
export type Order =
  | { readonly kind: "run"; readonly id: number; readonly payload: Payload; readonly info: TaskInfo }
  | { readonly kind: "abort"; readonly id: number; readonly reason: ErrorLikeness };

/** A message from a worker to the program. */
export type Report =
  | { readonly kind: "ready"; readonly code: number; readonly name: string; readonly replies: boolean }
  | { readonly kind: "unusable"; readonly exported: string }
  | { readonly kind: "broken"; readonly error: ErrorLikeness }
  | {
    readonly kind: "done";
    readonly id: number;
    readonly reply: ArrayBuffer | undefined;
    readonly meta?: Metadata | undefined;
  }
  | {
    readonly kind: "failed";
    readonly id: number;
    readonly error: ErrorLikeness;
    readonly meta?: Metadata | undefined;
  };

/** Returns whether a message that a thread posted is a report. */
export function isReport(value: unknown): value is Report {
  if (typeof value !== "object" || value === null) return false;
  const { kind, reply, error, meta } = value as Record<string, unknown>;
  if (meta !== undefined && (typeof meta !== "object" || meta === null)) return false;
  if (kind === "done") return reply === undefined || reply instanceof ArrayBuffer;
  if (kind === "failed" || kind === "broken") return typeof error === "object" && error !== null;
  return kind === "ready" || kind === "unusable";
}

/**
 * An error in a form that survives the way to another thread. Cloning an `Error` loses its `code`, and on Bun its
 * `cause`.
 */
export interface ErrorLikeness {
  /** The error's `name`. */
  readonly name: string;
  readonly message: string;
  /** The error's `code`, if that is a string. */
  readonly code: string | undefined;
  readonly stack: string | undefined;
  /** True if the error is an {@linkcode UnreadableError}: what a peer sent cannot be decoded. */
  readonly unreadable?: boolean;
}

/** Returns the description of a thrown value, which may be anything. */
export function likenessOf(error: unknown): ErrorLikeness {
  try {
    const { name, message, code, stack } = (error ?? {}) as Record<string, unknown>;
    return {
      name: typeof name === "string" ? name : "Error",
      message: typeof message === "string" ? message : String(error),
      code: typeof code === "string" ? code : undefined,
      stack: typeof stack === "string" ? stack : undefined,
      unreadable: error instanceof UnreadableError,
    };
  } catch {
    return { name: "Error", message: "The handler failed", code: undefined, stack: undefined };
  }
}

/** Returns an error with the name, message, code and stack of the one described. */
export function errorLike({ name, message, code, stack }: ErrorLikeness): Error {
  const error = new Error(message);
  // These properties are not enumerable, as in any error.
  const own = (key: string, value: unknown): unknown =>
    Object.defineProperty(error, key, { value, configurable: true, writable: true });
  own("name", name);
  if (stack !== undefined) own("stack", stack);
  if (code !== undefined) Object.assign(error, { code });
  return error;
}

/**
 * Returns the error that a handler threw in its thread. Its name, code, message and stack are the same, but its class
 * may be another.
 */
export function revived(error: ErrorLikeness): Error {
  if (error.name !== "PayloadError") return errorLike(error);
  const code = error.code === "payload-too-large" ? "payload-too-large" : "invalid-payload";
  return error.unreadable ? new UnreadableError(code, error.message) : new PayloadError(code, error.message);
}
