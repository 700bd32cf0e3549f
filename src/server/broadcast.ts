/**
 * Sends one message to many clients. It is encoded once for each protocol in use.
 *
 * @module
 */

import { BackpressureError } from "../errors.ts";
import { encodeUtf8 } from "../base/utf8.ts";
import { type Checks, type Given, optional, type OptionTable, readOptions, show, unchecked } from "../base/checks.ts";
import { type GivenSendOptions, SEND_OPTIONS, type SendOptions, type SendTerms } from "../app/send_options.ts";
import { broadcastId } from "../session/request_ids.ts";
import type { Peer } from "../app/peer.ts";
import type { EncodedFrame } from "../link/frame_encoding.ts";
import type { PayloadOrigin } from "../session/payload_encoding.ts";
import { Flag } from "../wire/frame.ts";
import { joinMetadata } from "../wire/metadata.ts";
import type { HeaderLayout } from "../wire/protocols.ts";
import { type ConnectedClient, tagName } from "./connected_client.ts";
import type { Groups, TagSelector } from "./groups.ts";

/**
 * Options of {@linkcode Server.broadcast}; all optional.
 *
 * @category Server
 */
export interface BroadcastOptions extends Omit<SendOptions, "transfer"> {
  /** The clients to send to: a list of them, or all that carry a tag. @default all clients */
  readonly to?: Iterable<ConnectedClient<unknown>> | TagSelector;
  /** The clients to leave out. @default none */
  readonly except?: Iterable<ConnectedClient<unknown>>;
  /** What to do about a client whose buffer is full: skip it, or close its connection. @default "skip" */
  readonly onFull?: "skip" | "close";
}

/** The options of a broadcast, checked. */
export interface BroadcastSelection extends Given<Pick<BroadcastOptions, "to" | "except">>, GivenSendOptions {
  readonly onFull: "skip" | "close";
}

const OPTIONS: Checks<BroadcastSelection> = {
  to: unchecked<BroadcastOptions["to"]>(),
  except: unchecked<BroadcastOptions["except"]>(),
  onFull: optional((name, value) => {
    if (value === "skip" || value === "close") return value;
    throw new TypeError(`${name} must be skip or close, not ${show(value)}`);
  }, "skip"),
  ...SEND_OPTIONS,
} satisfies OptionTable<BroadcastOptions>;

const DEFAULTS = Object.freeze(readOptions("broadcast()", {}, OPTIONS));

/** Returns the checked options of a broadcast. Without options it creates nothing. */
export function broadcastOptions(options: BroadcastOptions | undefined): BroadcastSelection {
  return options === undefined ? DEFAULTS : readOptions("broadcast()", options, OPTIONS);
}

/** Returns the options with lists of clients that can be read more than once. An iterator can be read only once. */
export function readableAgain(options: BroadcastOptions | undefined): BroadcastOptions | undefined {
  if (typeof options !== "object" || options === null) return options;
  const listed = <Given>(given: Given): Given | unknown[] =>
    typeof given === "object" && given !== null && Symbol.iterator in given ? [...given as Iterable<unknown>] : given;
  return { ...options, to: listed(options.to), except: listed(options.except) } as BroadcastOptions;
}

/**
 * The result of a broadcast, in numbers of clients.
 *
 * @category Server
 */
export interface BroadcastResult {
  /** Clients that the message was sent to, including suspended ones, which get it when they are back. */
  readonly sent: number;
  /**
   * Clients that were skipped: a buffer is full, the message is larger than they take, encoding it for them failed, or it
   * has metadata and they take none.
   */
  readonly dropped: number;
  /** Clients that were closed, because their buffer is full and `onFull` is `"close"`. */
  readonly closed: number;
}

/** Returns the peers of the clients that a broadcast is for, each once. Clients that are not connected are left out. */
export function chosen<P>(groups: Groups<P>, { to, except }: BroadcastSelection): Iterable<Peer> {
  const { clients } = groups;
  if (to === undefined && except === undefined) return clients.values();
  const left = new Set(except);
  const peers: Peer[] = [];
  for (const client of selected(groups, to)) {
    const peer = left.has(client) ? undefined : clients.get(client as ConnectedClient<P>);
    if (peer !== undefined) peers.push(peer);
  }
  return peers;
}

/** Sends a payload of this type to all of `peers`. */
export function broadcastTo(
  peers: Iterable<Peer>,
  type: PayloadOrigin & { readonly code: number },
  payload: Uint8Array | string,
  how: BroadcastSelection,
  { latest, meta }: SendTerms,
): BroadcastResult {
  const { onFull } = how;
  const { code } = type;
  const bare = typeof payload === "string" ? encodeUtf8(payload) : payload;
  const content = meta === "" ? bare : joinMetadata(meta, undefined, bare);
  const flags = meta === "" ? 0 : Flag.META;
  /** The frames, by the layout of the protocol, and by what encodes payloads. */
  const encoded = new Map<HeaderLayout | string, EncodedFrame>();
  let sent = 0;
  let dropped = 0;
  let closed = 0;
  for (const peer of peers) {
    if (!peer.session.open) continue;
    const { protocol, maxMessageSize } = peer.session;
    const { sender } = peer.session;
    if (protocol.headerSize + content.length > maxMessageSize || flags !== 0 && !sender.takesMetadata) {
      dropped++;
      continue;
    }
    const { sharing, writer } = sender;
    try {
      // One that replaces another needs no room of its own.
      if (latest === undefined || writer.latestFrames?.find(code, latest.latest) === undefined) {
        writer.checkCopy(protocol.headerSize + content.length);
      }
      if (sharing === undefined) {
        if (latest === undefined) sender.sendWithMetadata("broadcast", code, bare, meta, type);
        else sender.sendLatest("broadcast", code, bare, meta, latest, type);
      } else {
        const key = sharing || protocol.layout;
        let frame = encoded.get(key);
        if (frame === undefined) {
          frame = sender.encodedFrame(code, flags, content, broadcastId(protocol), type);
          encoded.set(key, frame);
        }
        if (latest === undefined) sender.encoded(frame);
        else sender.encodedLatest(code, frame, latest);
      }
      sent++;
    } catch (error) {
      if (!(error instanceof BackpressureError)) {
        if (sharing === "") throw error;
        // A feature of this peer failed, or made the payload larger than the peer takes. The other peers still get
        // theirs.
        peer.owner.error(error);
        dropped++;
      } else if (onFull === "close" && error.code === "buffer-full") {
        closed++;
        void peer.close("slow-consumer", 0);
      } else dropped++;
    }
  }
  return { sent, dropped, closed };
}

function selected<P>(groups: Groups<P>, to: BroadcastOptions["to"]): Iterable<ConnectedClient<unknown>> {
  if (to === undefined) return groups.clients.keys();
  if (Symbol.iterator in to) return new Set(to);
  const name = tagName(to.tag);
  // A client that has no such tag has no value of it. A broadcast to its group must not reach all other groups.
  if (to.value === undefined && "value" in to) {
    throw new TypeError(
      `Cannot broadcast to the tag "${name}" with the value undefined: leave "value" out to reach all who have the tag`,
    );
  }
  return groups.byTag(name, to.value);
}
