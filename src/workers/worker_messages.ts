/**
 * What the program and its worker threads tell each other.
 *
 * @module
 */

import { UnreadableError } from "../base/unreadable.ts";
import { PayloadError } from "../errors.ts";

/** Who sent a message, as far as a worker is told. */
export interface WorkerPeer {
  /** The `id` of its `ConnectedClient`. */
  readonly id: number;
  /** Its address: `{hostname, port}`, or `{path}`. */
  readonly address: { readonly hostname: string; readonly port: number } | { readonly path: string };
}

/** What a message is besides its payload. */
export interface TaskInfo {
  /** The sender's id for it. */
  readonly requestId: number | string;
  /** When it arrived, in milliseconds since 1970. */
  readonly receivedAt: number;
  /** When it was sent, if the protocol says. */
  readonly sentAt: number | undefined;
  /** Whether the sender waits for a reply. */
  readonly wantsReply: boolean;
  /** Who sent it, on a server. */
  readonly client: WorkerPeer | undefined;
}

/** A payload that is given away: `buffer` from `start` to its end. */
export interface Payload {
  /** Nobody else looks at it. */
  readonly buffer: ArrayBuffer;
  /** Where the payload begins: after the header, where the frame came with it. */
  readonly start: number;
}

/** To a worker. */
export type Order =
  | { readonly kind: "run"; readonly id: number; readonly payload: Payload; readonly info: TaskInfo }
  | { readonly kind: "abort"; readonly id: number; readonly reason: ErrorLikeness };

/** From a worker. */
export type Report =
  | { readonly kind: "ready"; readonly code: number; readonly name: string; readonly replies: boolean }
  | { readonly kind: "unusable"; readonly exported: string }
  | { readonly kind: "broken"; readonly error: ErrorLikeness }
  | { readonly kind: "done"; readonly id: number; readonly reply: ArrayBuffer | undefined }
  | { readonly kind: "failed"; readonly id: number; readonly error: ErrorLikeness };

/** Whether a worker's message is a report. */
export function isReport(value: unknown): value is Report {
  if (typeof value !== "object" || value === null) return false;
  const { kind, reply, error } = value as Record<string, unknown>;
  if (kind === "done") return reply === undefined || reply instanceof ArrayBuffer;
  if (kind === "failed" || kind === "broken") return typeof error === "object" && error !== null;
  return kind === "ready" || kind === "unusable";
}

/** An error on its way to another thread: cloning an `Error` loses its `code`, and on Bun its `cause`. */
export interface ErrorLikeness {
  /** Its class. */
  readonly name: string;
  /** Its text. */
  readonly message: string;
  /** Its code, if that is text. */
  readonly code: string | undefined;
  /** Where it was thrown. */
  readonly stack: string | undefined;
  /** Whether it says that what a peer sent cannot be decoded. */
  readonly unreadable?: boolean;
}

/** Describes whatever was thrown. */
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

/** An error that looks like the one described. */
export function errorLike({ name, message, code, stack }: ErrorLikeness): Error {
  const error = new Error(message);
  // Not enumerable, as in any error.
  const own = (key: string, value: unknown): unknown =>
    Object.defineProperty(error, key, { value, configurable: true, writable: true });
  own("name", name);
  if (stack !== undefined) own("stack", stack);
  if (code !== undefined) Object.assign(error, { code });
  return error;
}

/**
 * A buffer that holds exactly these bytes and that nobody else looks at: the view's own where it fills it, else a copy.
 *
 * @param bytes A view of a buffer, whole or in part.
 * @param owned Whether nobody else uses the buffer.
 */
export function ownBuffer(bytes: Uint8Array, owned: boolean): ArrayBuffer {
  const { buffer } = bytes;
  if (owned && buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength) return buffer;
  // Not `slice()`: that of a `Buffer` is a view.
  const copy = new Uint8Array(bytes.byteLength);
  copy.set(bytes);
  return copy.buffer;
}

/** The error that a handler threw in its thread: the same name, code, text and stack, but not the same class. */
export function revived(error: ErrorLikeness): Error {
  if (error.name !== "PayloadError") return errorLike(error);
  const code = error.code === "payload-too-large" ? "payload-too-large" : "invalid-payload";
  return error.unreadable ? new UnreadableError(code, error.message) : new PayloadError(code, error.message);
}
