/**
 * What plugins need of the Server or the Client that they are registered with.
 *
 * @module
 */

import type { EndpointCore } from "../app/endpoint_core.ts";
import type { EventMap } from "../app/events.ts";
import type { CloseReason } from "../link/close_reason.ts";
import type { ClientReading, ClientTagging } from "./plugin_host.ts";

/** A client of a Server, or the server of a Client, as far as plugins may ever reach it. */
export interface PluginPeer extends ClientReading, ClientTagging {
  /** 0 for the server of a Client. */
  readonly id: number;
  close(reason?: CloseReason, options?: object): Promise<void>;
  send(type: never, payload: never, options?: object): boolean;
  request(type: never, payload: never, options?: object): Promise<unknown>;
}

/** The Server or the Client. */
export interface PluginEndpoint {
  readonly side: "server" | "client";
  readonly core: EndpointCore<EventMap>;
  /** The names of its events. */
  readonly events: readonly string[];
  /** Returns the peer that a second argument of handlers, or an argument of an event, stands for; `undefined` if for none. */
  peerOf(value: unknown): PluginPeer | undefined;
  /** Returns the peers that are connected, oldest first. */
  peers(): readonly PluginPeer[];
  /** Sends a message to all peers, or to those of `to`. */
  broadcast(
    type: never,
    payload: never,
    options: object | undefined,
  ): { readonly sent: number; readonly dropped: number };
  /** Returns the counters. */
  stats(): object;
  /** Reports an error of a plugin: as the event `error`, or in the log. */
  failed(error: unknown, peer: PluginPeer | undefined, message: unknown): void;
}
