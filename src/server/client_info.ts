/**
 * A peer as the server sees it.
 *
 * @module
 */

import { CLOSE_REASONS, type CloseReason } from "../session/close_reason.ts";
import type { RequestOptions } from "../session/pending.ts";
import type { Session } from "../session/session.ts";
import type { SessionStats } from "../session/stats.ts";
import type { MessageType } from "../message/message_type.ts";
import { drainOf } from "../options.ts";
import type { Address } from "../transport.ts";

/** Options for closing a connection or a server. */
export interface CloseOptions {
  /** How long handlers, pending requests and unsent bytes may take, in milliseconds; 0 cuts at once. @default 5000 */
  readonly drain?: number;
}

/** One connected client, as handlers and event listeners get it from the server. */
export class ClientInfo {
  /** Its number, unique in this server, counted from 1. */
  readonly id: number;
  /** Where it connects from. */
  readonly address: Address;
  /** When its handshake finished, in milliseconds since 1970. */
  readonly connectedAt: number;
  readonly #session: () => Session;

  /**
   * Created by the server.
   *
   * @param id Its number.
   * @param address Where it connects from.
   * @param session Its connection.
   */
  constructor(id: number, address: Address, session: () => Session) {
    this.id = id;
    this.address = address;
    this.connectedAt = Date.now();
    this.#session = session;
  }

  /** Its IP address; empty on a unix socket. */
  get ip(): string {
    return "hostname" in this.address ? this.address.hostname : "";
  }

  /** Its port; 0 on a unix socket. */
  get port(): number {
    return "port" in this.address ? this.address.port : 0;
  }

  /** The protocol in use: `"native"`, or the Python release that the peer announced. */
  get protocol(): string {
    return this.#session().spoken;
  }

  /** Whether messages can be sent to it. */
  get connected(): boolean {
    return this.#session().open;
  }

  /** Reads its connection's counters. */
  stats(): SessionStats {
    return this.#session().stats;
  }

  /**
   * Sends a message to it; see `Client.send`.
   *
   * @param type The type.
   * @param payload The payload.
   * @returns Whether more may be sent right away; if not, await {@linkcode ready}.
   * @throws {ConnectionError} `closed`.
   * @throws {BackpressureError} `buffer-full` or `total-buffer-full`: the message was not taken.
   * @throws {PayloadError} The payload cannot be encoded, or is larger than the client takes.
   * @throws {TypeError} The payload is not what the codec takes.
   */
  send<In, Out, ReplyIn, ReplyOut>(type: MessageType<In, Out, ReplyIn, ReplyOut>, payload: NoInfer<In>): boolean {
    return this.#session().send(type, payload);
  }

  /**
   * Sends a request to it and waits for the answer; see `Client.request`.
   *
   * @param type The type, which has a reply.
   * @param payload The payload.
   * @param options Timeout, 5,000 ms by default, and signal.
   * @returns The decoded answer.
   * @throws {TimeoutError} No answer came in time.
   * @throws {RemoteError} The client answered with an error.
   * @throws {ConnectionError} `closed`: the connection has ended, or ended before the answer came.
   * @throws {BackpressureError} `buffer-full`, `total-buffer-full` or `ids-exhausted`: the request was not sent.
   * @throws {MessageTypeError} `no-reply-codec`: the type has no reply.
   * @throws {PayloadError} The payload cannot be encoded or is larger than the peer takes, or the answer cannot be decoded.
   * @throws {TypeError} The payload is not what the codec takes.
   * @throws {RangeError} `timeout` is not above 0 and at most 2147483647.
   * @throws {unknown} `signal.reason`, when `signal` is aborted.
   */
  request<In, Out, ReplyIn, ReplyOut>(
    type: MessageType<In, Out, ReplyIn, ReplyOut> & ([ReplyIn] extends [never] ? never : unknown),
    payload: NoInfer<In>,
    options: RequestOptions = {},
  ): Promise<ReplyOut> {
    return this.#session().request(type, payload, options);
  }

  /**
   * Measures a round trip. It never throws; the promise rejects.
   *
   * @param options Timeout, 5,000 ms by default, and signal.
   * @returns Milliseconds, by a monotonic clock.
   * @throws {TimeoutError} No answer came in time.
   * @throws {RemoteError} The client answered with an error.
   * @throws {ConnectionError} `closed`: the connection has ended, or ended before the answer came.
   * @throws {BackpressureError} `buffer-full`, `total-buffer-full` or `ids-exhausted`: the ping was not sent.
   * @throws {RangeError} `timeout` is not above 0 and at most 2147483647.
   * @throws {unknown} `signal.reason`, when `signal` is aborted.
   */
  ping(options: RequestOptions = {}): Promise<number> {
    return this.#session().ping(options);
  }

  /** Resolves when more may be sent or the connection is over; never rejects. */
  ready(): Promise<void> {
    return this.#session().ready();
  }

  /**
   * Closes its connection.
   *
   * @param reason The reason in the `disconnect` event. Default `"manual"`.
   * @param options How long work under way may take.
   * @returns Resolves when the connection is over; never rejects.
   * @throws {TypeError} There is no such reason.
   * @throws {RangeError | TypeError} `drain` is not a number from 0 to 2147483647.
   */
  close(reason: CloseReason = "manual", options: CloseOptions = {}): Promise<void> {
    if (!CLOSE_REASONS.includes(reason)) {
      throw new TypeError(`Cannot close the connection: reason must be one of ${CLOSE_REASONS.join(", ")}`);
    }
    return this.#session().close(reason, drainOf(options));
  }
}
