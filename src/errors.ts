/**
 * The errors of this package. Each is a {@linkcode VeltixError} with a stable `code`: decide by `error.code`, never by
 * the text. A wrong argument throws a plain `TypeError` or `RangeError`. An abort rejects with the signal's own reason,
 * as `fetch` does.
 *
 * @module
 */

/**
 * Codes of a {@linkcode ConnectionError}, the same on every runtime.
 *
 * @category Errors
 */
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
  | "truncated"
  | "unreachable"
  | "unresolvable";

/**
 * Codes of a {@linkcode HandshakeError}.
 *
 * @category Errors
 */
export type HandshakeErrorCode =
  | "certificate-expired"
  | "certificate-untrusted"
  | "client-certificate-required"
  | "encryption-required"
  | "encryption-unavailable"
  | "handshake-failed"
  | "handshake-timeout"
  | "identity-mismatch"
  | "name-mismatch"
  | "native-required"
  | "proxy-header-required"
  | "refused-by-peer"
  | "tls-failed"
  | "tls-required"
  | "tls-unavailable"
  | "too-many-connections"
  | "unauthorized"
  | "version-mismatch";

/**
 * Codes of a {@linkcode ProtocolError}: what was wrong with the bytes of the peer.
 *
 * @category Errors
 */
export type ProtocolErrorCode = "corrupt" | "decryption-failed" | "message-too-large" | "protocol-error";

/**
 * Codes of a {@linkcode PayloadError}.
 *
 * @category Errors
 */
export type PayloadErrorCode = "invalid-payload" | "metadata-unsupported" | "payload-too-large";

/**
 * Codes of a {@linkcode MessageTypeError}.
 *
 * @category Errors
 */
export type MessageTypeErrorCode =
  | "already-replied"
  | "code-out-of-range"
  | "code-taken"
  | "no-reply-codec"
  | "not-requested"
  | "type-mismatch";

/**
 * Codes of a {@linkcode ConfigError}.
 *
 * @category Errors
 */
export type ConfigErrorCode = "invalid-config" | "unsupported";

/**
 * Codes of a {@linkcode BackpressureError}.
 *
 * @category Errors
 */
export type BackpressureErrorCode =
  | "buffer-full"
  | "ids-exhausted"
  | "queue-full"
  | "too-many-streams"
  | "total-buffer-full";

/**
 * Codes of a {@linkcode TimeoutError}.
 *
 * @category Errors
 */
export type TimeoutErrorCode = "deadline-exceeded" | "timeout";

/**
 * Codes of a {@linkcode WorkerError}.
 *
 * @category Errors
 */
export type WorkerErrorCode = "worker-crashed" | "worker-stopped";

/**
 * Codes of a {@linkcode PermissionError}.
 *
 * @category Errors
 */
export type PermissionErrorCode = "permission-denied";

/**
 * Codes of a {@linkcode PluginError}.
 *
 * @category Errors
 */
export type PluginErrorCode =
  | "dependency-circular"
  | "dependency-missing"
  | "no-hook"
  | "plugin-exists"
  | "plugin-failed"
  | "plugin-missing"
  | "plugin-needed"
  | "plugin-off"
  | "plugin-removed"
  | "plugin-timeout";

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
 *
 * @category Errors
 */
export class VeltixError<Code extends string = string> extends Error {
  /** What went wrong, stable across releases and runtimes. */
  readonly code: Code;

  /**
   * Creates an error.
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

/**
 * Raised when the options of a Server or a Client contradict each other, or ask for something that is not available.
 *
 * @category Errors
 */
export class ConfigError extends VeltixError<ConfigErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "ConfigError";
  }
}

/**
 * Raised when a connection could not be made, was lost, or does not exist.
 *
 * @category Errors
 */
export class ConnectionError extends VeltixError<ConnectionErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "ConnectionError";
  }
}

/**
 * What a server tells a client that it refuses.
 *
 * @category Errors
 */
export interface Refusal {
  /** The server's code, such as `"unauthorized"` or `"too-many-connections"`. The list of codes is not closed. */
  readonly code: string;
  /** The server's reason, at most 200 printable characters. */
  readonly message: string;
  /** The time after which a new attempt is worthwhile, in milliseconds; `undefined` if the server did not say. */
  readonly retryAfter: number | undefined;
  /** True if the server said that coming back is pointless; `reconnect` then does not try. @default false */
  readonly final?: boolean;
}

/**
 * Raised when two peers could not agree on how to talk to each other, or when the server refuses the client. In the
 * second case, `refusal` has the server's own words.
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
 *
 * @category Errors
 */
export class HandshakeError extends VeltixError<HandshakeErrorCode> {
  /** What the server told the client if it refused, the same on both sides; otherwise `undefined`. */
  readonly refusal: Refusal | undefined;

  /**
   * Creates an error. The library calls this.
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

/**
 * Raised when the bytes of a peer break the protocol.
 *
 * @category Errors
 */
export class ProtocolError extends VeltixError<ProtocolErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "ProtocolError";
  }
}

/**
 * Raised when a payload could not be encoded or decoded, is invalid, or is larger than the peer accepts; or its metadata.
 *
 * @category Errors
 */
export class PayloadError extends VeltixError<PayloadErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "PayloadError";
  }
}

/**
 * Raised when a message type is declared or used wrongly.
 *
 * @category Errors
 */
export class MessageTypeError extends VeltixError<MessageTypeErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "MessageTypeError";
  }
}

/**
 * Raised when no answer came in time. The code is `deadline-exceeded` if the time was that of a message on whose behalf
 * something was asked.
 *
 * @category Errors
 */
export class TimeoutError extends VeltixError<TimeoutErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "TimeoutError";
  }
}

/**
 * Raised when more was sent than can be taken. The message was not accepted.
 *
 * @category Errors
 */
export class BackpressureError extends VeltixError<BackpressureErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "BackpressureError";
  }
}

/**
 * Raised when a worker thread ended while it had a message. It crashed (`cause` says how), or it was ended.
 *
 * @category Errors
 */
export class WorkerError extends VeltixError<WorkerErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "WorkerError";
  }
}

/**
 * Raised when a plugin fails, is not there, or cannot be registered, removed or attached. `cause` is what it threw.
 *
 * @category Errors
 */
export class PluginError extends VeltixError<PluginErrorCode> {
  /** The name of the class. */
  override get name(): string {
    return "PluginError";
  }
}

/**
 * Raised when a plugin uses what it has no permission for. The message says how to grant it.
 *
 * @category Errors
 */
export class PermissionError extends VeltixError<PermissionErrorCode> {
  /** The name of the plugin. */
  readonly plugin: string;
  /** The permissions that it lacks. */
  readonly missing: readonly string[];

  /**
   * Creates an error. The library calls this.
   *
   * @param code The code.
   * @param message What failed, a colon, and how to grant the permissions.
   * @param plugin The name of the plugin.
   * @param missing The permissions that it lacks.
   */
  constructor(code: PermissionErrorCode, message: string, plugin: string = "", missing: readonly string[] = []) {
    super(code, message);
    this.plugin = plugin;
    this.missing = missing;
  }

  /** The name of the class. */
  override get name(): string {
    return "PermissionError";
  }
}

/**
 * Raised when the peer answered a request with an error. `code` and `message` are the peer's own words.
 *
 * @category Errors
 */
export class RemoteError extends VeltixError {
  /** What the peer added, parsed from JSON and not validated. */
  readonly details: unknown;
  /** The metadata of the answer: a frozen object without a prototype, empty if there is none. */
  readonly meta: Readonly<Record<string, string>>;

  /**
   * Creates an error from an ERROR reply. The library calls this.
   *
   * @param code The peer's code.
   * @param message The peer's message.
   * @param details What the peer added.
   * @param meta The metadata of the answer.
   */
  constructor(
    code: string,
    message: string,
    details?: unknown,
    meta: Readonly<Record<string, string>> = Object.freeze(Object.create(null)),
  ) {
    super(code, message);
    this.details = details;
    this.meta = meta;
  }

  /** The name of the class. */
  override get name(): string {
    return "RemoteError";
  }
}
