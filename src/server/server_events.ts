/**
 * The events of a Server.
 *
 * @module
 */

import type { Message } from "../message/message.ts";
import type { CloseReason } from "../session/close_reason.ts";
import type { Address } from "../transport.ts";
import type { ClientInfo } from "./client_info.ts";

/** Why a client's connection ended. */
export interface DisconnectInfo {
  /** The reason. */
  readonly reason: CloseReason;
  /** The error behind it, if there is one. */
  readonly error?: unknown;
}

/** A connection that failed the handshake. */
export interface RejectedInfo extends DisconnectInfo {
  /** Where it came from. */
  readonly address: Address;
}

/** A message that nothing handles. */
export interface UnhandledInfo {
  /** Its type code. */
  readonly code: number;
  /** The size of its payload, in bytes. */
  readonly size: number;
}

/** The events of a Server and their arguments. */
export type ServerEvents = {
  /** The server accepts connections. */
  listening: [addresses: readonly Address[]];
  /** A client has connected and finished its handshake. */
  connect: [client: ClientInfo];
  /** A message arrived that has no route. */
  message: [message: Message<Uint8Array>, client: ClientInfo];
  /** A client's connection has ended. */
  disconnect: [client: ClientInfo, info: DisconnectInfo];
  /** A message arrived that has no route, and nothing listens to `message`. */
  unhandled: [info: UnhandledInfo, client: ClientInfo];
  /** A handler, a listener, a payload or a frame failed; the library has dealt with it. Without a listener it is logged. */
  error: [error: unknown, client?: ClientInfo, message?: Message];
  /** A connection failed the handshake. */
  rejected: [info: RejectedInfo];
  /** The server is closed. */
  close: [];
};
