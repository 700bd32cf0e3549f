/**
 * What was seen on a connection: frames, messages of handshakes, damage, and bytes that cannot be read.
 *
 * @module
 */

import type { PeerObject } from "../../base/untrusted.ts";
import type { Protocol } from "../../wire/protocols.ts";
import type { HeaderFields } from "./header_fields.ts";
import type { Payload } from "./payload.ts";

/** The end of a connection that sent something. */
export type Sender = "client" | "server";

/** Returns the other end. */
export function peerOf(sender: Sender): Sender {
  return sender === "client" ? "server" : "client";
}

/** Where something was seen. */
interface Place {
  readonly from: Sender;
  /** How many bytes of this direction come before it, within what a WebSocket carries if there is one. */
  readonly offset: number;
  /** Its bytes. */
  readonly bytes: Uint8Array;
}

/** A whole frame. */
export interface SeenFrame extends Place {
  readonly type: "frame";
  readonly protocol: Protocol;
  readonly fields: HeaderFields;
  readonly payload: Payload;
  /** What it means, such as `"request"`, `"piece"` or `"ping"`. */
  readonly kind: string;
  /** What is wrong with it, although it is whole; `undefined` if nothing is. */
  readonly fault?: string | undefined;
}

/** One message of the JSON handshake. */
export interface SeenHandshake extends Place {
  readonly type: "handshake";
  /** Its number: the server's greeting is 1. */
  readonly step: 1 | 2 | 3;
  /** The message, without secrets unless they were asked for. */
  readonly message: PeerObject;
  /** True if the bytes are not to be shown, since they may hold secrets. */
  readonly hidden: boolean;
}

/** Bytes that are no frame. */
export interface SeenDamage extends Place {
  readonly type: "damage";
  /** Which check failed. */
  readonly reason: string;
  /** True if the bytes are not to be shown, since they may hold secrets: a handshake that cannot be read. */
  readonly hidden: boolean;
}

/** Bytes that cannot be read: encrypted ones, or those of another program. */
export interface SeenOpaque extends Place {
  readonly type: "unreadable";
  /** What they are. */
  readonly what: string;
  /** True if the bytes are not to be shown, since they may hold secrets. Encrypted bytes hold none. */
  readonly hidden: boolean;
}

/** Something that is not on the wire itself, such as what both ends agreed on. */
export interface SeenNote {
  readonly type: "note";
  readonly from: Sender;
  readonly offset: number;
  readonly text: string;
}

/** Something that was seen in one direction of a connection. */
export type Seen = SeenFrame | SeenHandshake | SeenDamage | SeenOpaque | SeenNote;
