/**
 * The events of a Server.
 *
 * @module
 */

import type { Message } from "../message/message.ts";
import type { CloseReason } from "../link/close_reason.ts";
import type { PluginChange } from "../plugins/plugin_info.ts";
import type { RouteInfo } from "../app/routes.ts";
import type { ResumedInfo, SuspendedInfo } from "../app/resume_events.ts";
import { TRAFFIC_EVENTS, type TrafficEvents } from "../session/observers.ts";
import type { Address } from "../base/address.ts";
import type { ConnectedClient } from "./connected_client.ts";

/**
 * Why a client's connection ended.
 *
 * @category Events
 */
export interface DisconnectInfo {
  /** The reason. */
  readonly reason: CloseReason;
  /** The error that caused the end, if there is one. */
  readonly error?: unknown;
  /**
   * How many messages arrived and were not handled: they waited for other handlers, or came while the connection was
   * being closed. The client may count them as delivered, which means only that they arrived.
   */
  readonly unhandled: number;
}

/**
 * A connection that failed the handshake, was not let in, or was refused the session that it asked for.
 *
 * @category Events
 */
export interface RejectedInfo extends Omit<DisconnectInfo, "unhandled"> {
  /** The address that the connection came from. */
  readonly address: Address;
}

/**
 * A message that nothing handles.
 *
 * @category Events
 */
export interface UnhandledInfo {
  /** The code of the message's type. */
  readonly code: number;
  /** The size of the message's payload, in bytes. */
  readonly size: number;
}

/**
 * A change of a client's tags.
 *
 * @category Events
 */
export interface TagInfo {
  /** What happened to the tag, or to all tags. */
  readonly action: "added" | "updated" | "removed" | "cleared";
  /** The name of the tag; `undefined` if all tags were cleared. */
  readonly name?: string;
  /** The value of the tag. */
  readonly value?: unknown;
}

/**
 * The events of a Server and their arguments. `P` is what its `authenticate` returns.
 *
 * @category Events
 */
export type ServerEvents<P = undefined> = TrafficEvents<[client: ConnectedClient<P>]> & {
  /** The server accepts connections. */
  listening: [addresses: readonly Address[]];
  /** A client has connected and finished its handshake. */
  connect: [client: ConnectedClient<P>];
  /**
   * A message arrived that has no route. A listener may answer it with `reply(bytes)`, and one that answers later
   * returns a promise. A native request that no listener answers is refused with the code `no-route`.
   */
  message: [message: Message<Uint8Array, Uint8Array>, client: ConnectedClient<P>];
  /**
   * The connection of a client is lost, and its session waits for another one; see the option `resume`. The client stays
   * a client.
   */
  suspended: [client: ConnectedClient<P>, info: SuspendedInfo];
  /** The session of a client goes on over another connection. */
  resumed: [client: ConnectedClient<P>, info: ResumedInfo];
  /** A client's connection has ended; with `resume`, its session. */
  disconnect: [client: ConnectedClient<P>, info: DisconnectInfo];
  /** A message arrived that has no route, and nothing listens to `message`. */
  unhandled: [info: UnhandledInfo, client: ConnectedClient<P>];
  /**
   * A handler, a listener, a payload or a frame failed. The library has dealt with it. Without a listener it is logged.
   */
  error: [error: unknown, client?: ConnectedClient<P>, message?: Message];
  /**
   * A connection failed the handshake, or was not let in. It fires, too, if a peer asks for the session of a client that it
   * is not: its key is wrong, or its identity (`unauthorized`). Such a peer may still be let in as a new client.
   */
  rejected: [info: RejectedInfo];
  /** A connection was accepted, and its handshake begins. Behind a proxy, the proxy has named the peer. */
  handshake: [address: Address];
  /** A connected client got a tag, lost one, or has another value for one. */
  tag: [client: ConnectedClient<P>, info: TagInfo];
  /** A route was added or removed. */
  route: [info: RouteInfo];
  /** A plugin is set up, was switched off, or was removed. If nobody listens, it is logged that one was switched off. */
  plugin: [change: PluginChange];
  /** The server begins to close. */
  closing: [];
  /** The server is closed. */
  close: [];
};

/** The names of {@linkcode ServerEvents}. */
export const SERVER_EVENTS: readonly (keyof ServerEvents)[] = [
  "listening",
  "connect",
  "message",
  "disconnect",
  "suspended",
  "resumed",
  "unhandled",
  "error",
  "rejected",
  "handshake",
  "tag",
  "route",
  "plugin",
  "closing",
  "close",
  ...TRAFFIC_EVENTS,
];
