/**
 * The events of a Client.
 *
 * @module
 */

import type { Message } from "../message/message.ts";
import type { CloseReason } from "../link/close_reason.ts";
import type { PluginChange } from "../plugins/plugin_info.ts";
import type { RouteInfo } from "../app/routes.ts";
import type { ResumedInfo, SuspendedInfo } from "../app/resume_events.ts";
import { TRAFFIC_EVENTS, type TrafficEvents } from "../session/observers.ts";
import type { DisconnectState } from "./disconnect.ts";

/**
 * The events of a Client and their arguments.
 *
 * @category Events
 */
export type ClientEvents = TrafficEvents<[]> & {
  /** An attempt to connect begins: the first, or one after a connection was lost. */
  connecting: [info: ConnectingInfo];
  /** An attempt to connect has failed, with all servers that it tried. What comes next is told afterwards. */
  failed: [info: FailedInfo];
  /**
   * The client has connected and finished the handshake. What a listener sends at once is sent before what is queued.
   * If a listener returns a promise, the queue waits for it, but at most for `handshakeTimeout`. Meanwhile requests are
   * sent, so that a listener can log in, and messages join the queue.
   */
  connect: [info: ConnectInfo];
  /**
   * A message arrived that has no route. A listener may answer it with `reply(bytes)`, and one that answers later
   * returns a promise. A native request that no listener answers is refused with the code `no-route`.
   */
  message: [message: Message<Uint8Array, Uint8Array>];
  /** The connection has ended, or an attempt to reconnect failed. The state says what comes next. */
  disconnect: [state: DisconnectState];
  /** The connection is lost, and the session waits for another one; see the option `resume`. */
  suspended: [info: SuspendedInfo];
  /** The session goes on over another connection. */
  resumed: [info: ResumedInfo];
  /** The client waits for the next attempt to reconnect. */
  reconnecting: [info: ReconnectingInfo];
  /** A message arrived that has no route, and nothing listens to `message`. */
  unhandled: [info: { readonly code: number; readonly size: number }];
  /**
   * A handler, a listener, a payload or a frame failed. The library has dealt with it. Without a listener it is logged.
   */
  error: [error: unknown, message?: Message];
  /** A route was added or removed. */
  route: [info: RouteInfo];
  /** A plugin is set up, was switched off, or was removed. If nobody listens, it is logged that one was switched off. */
  plugin: [change: PluginChange];
  /** The client begins to close. */
  closing: [];
};

/**
 * An attempt to connect.
 *
 * @category Events
 */
export interface ConnectingInfo {
  /** The number of the attempt: 0 for the first, and from 1 on after a connection was lost or an attempt failed. */
  readonly attempt: number;
}

/**
 * An attempt to connect that failed.
 *
 * @category Events
 */
export interface FailedInfo extends ConnectingInfo {
  /** The reason. */
  readonly reason: CloseReason;
  /** The error; with several servers, the one that says most. */
  readonly error: unknown;
}

/**
 * The wait for an attempt to reconnect.
 *
 * @category Events
 */
export interface ReconnectingInfo extends ConnectingInfo {
  /** The most attempts to make in a row. */
  readonly retryMax: number;
  /** How long until the attempt, in milliseconds. */
  readonly delay: number;
}

/**
 * What a Client agreed on with its server.
 *
 * @category Events
 */
export interface ConnectInfo extends ConnectingInfo {
  /** The protocol in use: `"native"`, or the Python release that the server announced. */
  readonly protocol: string;
}

/** The names of {@linkcode ClientEvents}. */
export const CLIENT_EVENTS: readonly (keyof ClientEvents)[] = [
  "connecting",
  "connect",
  "message",
  "disconnect",
  "failed",
  "suspended",
  "resumed",
  "reconnecting",
  "unhandled",
  "error",
  "route",
  "plugin",
  "closing",
  ...TRAFFIC_EVENTS,
];
