/**
 * The errors of this package. Each is a {@linkcode VeltixError} with a stable `code`: decide by `error.code`, never by the
 * text. A wrong argument is a plain `TypeError` or `RangeError`, and an abort rejects with the signal's own reason, as `fetch`
 * does.
 *
 * @module
 */

/** Codes of a {@linkcode ConnectionError}, the same on every runtime. */
export type ConnectionErrorCode =
  | "address-in-use"
  | "address-unavailable"
  | "closed"
  | "network-error"
  | "not-connected"
  | "permission-denied"
  | "refused"
  | "reset"
  | "timed-out"
  | "unreachable"
  | "unresolvable";

/** Codes of a {@linkcode HandshakeError}. */
export type HandshakeErrorCode =
  | "handshake-failed"
  | "handshake-timeout"
  | "native-required"
  | "refused-by-peer"
  | "too-many-connections"
  | "unauthorized"
  | "version-mismatch";

/** Codes of a {@linkcode ProtocolError}: what was wrong with the bytes of the peer. */
export type ProtocolErrorCode = "corrupt" | "message-too-large" | "protocol-error";

/** Codes of a {@linkcode PayloadError}. */
export type PayloadErrorCode = "invalid-payload" | "payload-too-large";

/** Codes of a {@linkcode MessageTypeError}. */
export type MessageTypeErrorCode =
  | "already-replied"
  | "code-out-of-range"
  | "code-taken"
  | "no-reply-codec"
  | "not-requested"
  | "type-mismatch";

/** Codes of a {@linkcode ConfigError}. */
export type ConfigErrorCode = "invalid-config" | "unsupported";

/** Codes of a {@linkcode BackpressureError}. */
export type BackpressureErrorCode = "buffer-full" | "ids-exhausted" | "queue-full" | "total-buffer-full";

/** Codes of a {@linkcode WorkerError}. */
export type WorkerErrorCode = "worker-crashed" | "worker-stopped";

/**
 * The base of all errors of this package.
 *
 * @example Telling errors apart
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { ConnectionError, VeltixError } from "@veltix/core";
 *
 * const error: Error = new ConnectionError("refused", 'Cannot connect to "127.0.0.1:9": the connection was refused');
 * assertEquals(error instanceof VeltixError && error.code, "refused");
 * ```
 */
export class VeltixError<Code extends string = string> extends Error {
  /** What went wrong, stable across releases and runtimes. */
  readonly code: Code;

  /**
   * Makes an error.
   *
   * @param code The stable code.
   * @param message What failed, a colon, and the state.
   * @param options `cause`, the error that caused this one.
   */
  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  /** The name of the class, shown in front of the message. */
  override get name(): string {
    return "VeltixError";
  }
}

/** The options given to a Server or a Client contradict each other or ask for what is not there. */
export class ConfigError extends VeltixError<ConfigErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "ConfigError";
  }
}

/** A connection could not be made, was lost, or is not there. */
export class ConnectionError extends VeltixError<ConnectionErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "ConnectionError";
  }
}

/** What a server tells a client that it does not let in. */
export interface Refusal {
  /** The server's code, such as `"unauthorized"` or `"too-many-connections"`; not of a closed list. */
  readonly code: string;
  /** Its reason, at most 200 printable characters. */
  readonly message: string;
  /** When it is worth trying again, in milliseconds; `undefined` where it did not say. */
  readonly retryAfter: number | undefined;
  /** Whether the server said that coming back is pointless: then `reconnect` does not try. @default false */
  readonly final?: boolean;
}

/**
 * Two peers could not agree on how to talk to each other, or the server does not let the client in: then `refusal` has the
 * server's own words.
 *
 * @example A server that is full
 * ```ts
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { Client, HandshakeError, Server } from "@veltix/core";
 *
 * await using server = new Server({ port: 0, hostname: "127.0.0.1", maxConnections: 1 });
 * server.on("rejected", () => {}); // It is logged otherwise.
 * await server.start();
 * await using first = new Client({ ...server.addresses[0] });
 * await using second = new Client({ ...server.addresses[0] });
 *
 * await first.connect();
 * const { code, refusal } = await assertRejects(() => second.connect(), HandshakeError);
 * assertEquals([code, refusal?.retryAfter], ["too-many-connections", 1_000]);
 * ```
 */
export class HandshakeError extends VeltixError<HandshakeErrorCode> {
  /** What the server told the client, where it refused: the same on both sides. */
  readonly refusal: Refusal | undefined;

  /**
   * Made by the library.
   *
   * @param code The stable code.
   * @param message What failed, a colon, and the state.
   * @param options `cause`, the error that caused this one, and `refusal`.
   */
  constructor(
    code: HandshakeErrorCode,
    message: string,
    options: ErrorOptions & { readonly refusal?: Refusal } = {},
  ) {
    super(code, message, "cause" in options ? { cause: options.cause } : undefined);
    this.refusal = options.refusal;
  }

  /** The name of the class. */
  override get name(): string {
    return "HandshakeError";
  }
}

/** The bytes of a peer break the protocol. */
export class ProtocolError extends VeltixError<ProtocolErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "ProtocolError";
  }
}

/** A payload could not be encoded or decoded, is invalid, or is larger than the peer takes. */
export class PayloadError extends VeltixError<PayloadErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "PayloadError";
  }
}

/** A message type is declared or used wrongly. */
export class MessageTypeError extends VeltixError<MessageTypeErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "MessageTypeError";
  }
}

/** No answer came in time. */
export class TimeoutError extends VeltixError<"timeout"> {
  /** The name of the class. */
  override get name(): string {
    return "TimeoutError";
  }
}

/** More was sent than the peer takes; the message was not accepted. */
export class BackpressureError extends VeltixError<BackpressureErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "BackpressureError";
  }
}

/** A worker thread ended with a message in it: it crashed (`cause` says how), or it was ended. */
export class WorkerError extends VeltixError<WorkerErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "WorkerError";
  }
}

/** The peer answered a request with an error. `code` and `message` are the peer's own words. */
export class RemoteError extends VeltixError {
  /** What the peer added, parsed from JSON and not validated. */
  readonly details: unknown;

  /**
   * Made by the library from an ERROR reply.
   *
   * @param code The peer's code.
   * @param message The peer's message.
   * @param details What the peer added.
   */
  constructor(code: string, message: string, details?: unknown) {
    super(code, message);
    this.details = details;
  }

  /** The name of the class. */
  override get name(): string {
    return "RemoteError";
  }
}
