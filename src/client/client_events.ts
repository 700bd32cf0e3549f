/**
 * The events of a Client.
 *
 * @module
 */

import type { Message } from "../message/message.ts";
import type { DisconnectState } from "./disconnect.ts";

/** The events of a Client and their arguments. */
export type ClientEvents = {
  /** The client has connected and finished the handshake. */
  connect: [info: ConnectInfo];
  /** A message arrived that has no route. */
  message: [message: Message<Uint8Array>];
  /** The connection has ended. */
  disconnect: [state: DisconnectState];
  /** A message arrived that has no route, and nothing listens to `message`. */
  unhandled: [info: { readonly code: number; readonly size: number }];
  /** A handler, a listener, a payload or a frame failed; the library has dealt with it. Without a listener it is logged. */
  error: [error: unknown, message?: Message];
};

/** What a Client agreed on with its server. */
export interface ConnectInfo {
  /** The protocol in use: `"native"`, or the Python release that the server announced. */
  readonly protocol: string;
}
