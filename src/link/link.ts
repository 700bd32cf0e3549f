/**
 * Implements one connection after its handshake: frames in, frames out, and its end.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { Heartbeat, type HeartbeatHost, type HeartbeatPace, type HeartbeatTime } from "./heartbeat.ts";
import type { KeptBytes } from "./kept_bytes.ts";
import type { NegotiatedFlags, Recovery } from "../wire/decoder_options.ts";
import { isNative, type Protocol } from "../wire/protocols.ts";
import type { Channel } from "./channel.ts";
import type { CloseReason } from "./close_reason.ts";
import {
  type FrameReceiver,
  FrameSource,
  type FrameSourceEvents,
  type FrameSourceShared,
  type ReceiveQueue,
} from "./frame_source.ts";
import { FrameWriter, type FrameWriterEvents, type FrameWriterShared } from "./frame_writer.ts";

/** What all links of a Server or a Client share. */
export interface LinkShared extends FrameSourceShared, FrameWriterShared, HeartbeatTime {
  readonly tuning: FrameWriterShared["tuning"] & {
    /** The heartbeat of native connections; `undefined` for none. */
    readonly heartbeat: HeartbeatPace | undefined;
    readonly pythonHeartbeat: HeartbeatPace | undefined;
  };
  readonly limits: FrameWriterShared["limits"] & { readonly maxMessageSize: number };
  readonly observers: {
    readonly pressure?:
      | ((event: { readonly full: boolean; readonly bufferedBytes: number }, handle: unknown) => void)
      | undefined;
  };
}

/** The layer above a link. */
export interface LinkOwner extends FrameReceiver {
  /** The second argument of observers. */
  readonly handle: unknown;
  readonly inbox: ReceiveQueue & {
    /** Called when there may be room for answers again. */
    resume(): void;
  };
  /**
   * Called without an error at the peer's FIN, with a `ProtocolError` when the peer broke the protocol, and with
   * another error when the connection failed. It may be called again for what fails after that.
   */
  ended(reason: CloseReason, error?: Error): void;
  /**
   * Called first where the connection ends without the peer's word for it. Returns true if what is above goes on without
   * it, and has left it; {@linkcode ended} is not called then.
   */
  survives(reason: CloseReason, error?: Error): boolean;
  /** Sends a PING. */
  sendHeartbeat(): void;
}

/** One connection. It is `draining` while nothing new may be sent, and `closed` once the socket is released. */
export class Link implements FrameSourceEvents, FrameWriterEvents, HeartbeatHost {
  readonly source: FrameSource;
  readonly writer: FrameWriter;
  state: "open" | "draining" | "closed" = "open";
  /** True if the connection does not keep the process alive. */
  unreffed = false;
  readonly #owner: LinkOwner;
  readonly #shared: LinkShared;
  #heartbeat: Heartbeat | undefined = undefined;

  /**
   * @param recovery What a torn frame of a Python peer does.
   * @param features The flags of the features that were agreed on.
   */
  constructor(
    channel: Channel,
    protocol: Protocol,
    recovery: Recovery,
    features: NegotiatedFlags,
    shared: LinkShared,
    owner: LinkOwner,
  ) {
    const { limits } = shared;
    this.#owner = owner;
    this.writer = new FrameWriter(channel, protocol, shared, this);
    this.source = new FrameSource(channel, protocol, limits.maxMessageSize, recovery, features, shared, owner, this);
    this.#shared = shared;
  }

  /** Starts the heartbeat and begins to read, unless the connection was left or ended meanwhile. */
  run(): void {
    if (this.away) return;
    if (this.state !== "closed") this.#watch();
    this.source.run();
  }

  /** Leaves the connection. Nothing of it is read or written any more, and it is aborted. */
  leave(error?: Error): void {
    this.#heartbeat?.stop();
    this.source.leave();
    this.writer.leave();
    this.source.channel.abort(error);
  }

  /**
   * Goes on over another connection, after {@linkcode leave}. What the peer has not acknowledged is written again. Nothing
   * is read before {@linkcode run}. Returns how many bytes are written again.
   */
  enter(channel: Channel): number {
    if (this.unreffed) channel.unref();
    const again = this.writer.enter(channel);
    this.source.enter(channel);
    return again;
  }

  /**
   * Keeps what is written, so that the connection may be left; see `WriteLoop.keep`. Called before anything is read or
   * written. `consumed` is called when all frames of a chunk have been handed out.
   */
  keep(kept: KeptBytes, rider: () => void, consumed: () => void): void {
    this.writer.keep(kept, rider);
    this.source.follow(consumed);
  }

  /** The number of bytes that were received. */
  get received(): number {
    return this.source.bytes;
  }

  /** The number of frames that were received. */
  get frames(): number {
    return this.source.frames;
  }

  /** The number of bytes that were written, each once. */
  get written(): number {
    return this.writer.kept!.written;
  }

  /** The number of these that the peer has acknowledged. */
  get acknowledged(): number {
    return this.writer.kept!.acknowledged;
  }

  /** The position in the ordered bytes up to which the peer has them. */
  get acknowledgedOrdered(): number {
    return this.writer.kept!.acknowledgedOrdered;
  }

  /** Called when the peer has all bytes before `offset`. */
  acknowledge(offset: number): void {
    this.writer.acknowledge(offset);
  }

  /** The bytes that are kept, wait to be sent, or belong to a frame that is not complete. */
  get heldBytes(): number {
    const { buffered, heldBytes, kept } = this.writer;
    return kept!.size + buffered + heldBytes + this.source.partial;
  }

  /** True while there is no connection. */
  get away(): boolean {
    return this.source.away;
  }

  /** Begins to watch for signs of life. */
  #watch(): void {
    const { heartbeat, pythonHeartbeat } = this.#shared.tuning;
    const pace = isNative(this.writer.protocol) ? heartbeat : pythonHeartbeat;
    if (pace !== undefined) this.#heartbeat = new Heartbeat(this, this.#shared, pace);
  }

  /** Lets the process exit even while the connection is open. */
  unref(): void {
    this.unreffed = true;
    this.source.channel.unref();
  }

  /** Sends FIN after what was written. Resolves at the peer's FIN; never rejects. */
  async finish(): Promise<void> {
    // Nothing is written after FIN, not even a PONG.
    this.writer.close();
    await Promise.all([this.source.channel.closeWrite().catch(() => {}), this.source.over()]);
  }

  /** Releases the socket. */
  abort(error?: Error): void {
    this.state = "closed";
    this.source.channel.abort(error);
    this.#heartbeat?.stop();
    this.writer.close();
    this.source.discard();
  }

  // For the frame source and the frame writer.

  finished(partial: number): void {
    if (this.state === "open" && partial > 0) {
      this.failed(new ConnectionError("closed", `The connection ended ${partial} bytes into a frame`), "network-error");
      return;
    }
    if (this.#owner.survives("peer-closed")) return;
    this.#heartbeat?.stop();
    this.writer.ungranted();
    this.#owner.ended("peer-closed");
  }

  failed(error: Error, reason: CloseReason): void {
    if (!this.#owner.survives(reason, error)) this.#owner.ended(reason, error);
  }

  stalled(error: Error): void {
    // Where the session survives, the connection is as good as dead. Otherwise its peer is too slow.
    if (!this.#owner.survives("heartbeat", error)) this.#owner.ended("slow-consumer", error);
  }

  pressure(full: boolean, bufferedBytes: number): void {
    this.#shared.observers.pressure?.({ full, bufferedBytes }, this.#owner.handle);
    if (!full) this.#owner.inbox.resume();
  }

  mayStart(): void {
    this.#owner.inbox.resume();
  }

  // For the heartbeat.

  get lastSent(): number {
    return this.writer.lastWrite;
  }

  get lastReceived(): number {
    if (this.source.channel.moved()) this.source.lastRead = this.#shared.clock.now();
    return this.source.lastRead;
  }

  get paused(): boolean {
    return this.source.paused;
  }

  // A Python peer sends a PONG from another thread, possibly in the middle of a frame that its first thread is sending.
  get fragile(): boolean {
    return !isNative(this.writer.protocol) && this.source.partial > 0;
  }

  sendHeartbeat(): void {
    this.#owner.sendHeartbeat();
  }

  dead(error: ConnectionError): void {
    this.failed(error, "heartbeat");
  }
}
