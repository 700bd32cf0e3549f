/**
 * Implements one connection after its handshake: frames in, frames out, and its end.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import { Heartbeat, type HeartbeatHost, type HeartbeatPace } from "./heartbeat.ts";
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
export interface LinkShared extends FrameSourceShared, FrameWriterShared {
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

  /** Starts the heartbeat and begins to read. */
  run(): void {
    const { heartbeat, pythonHeartbeat } = this.#shared.tuning;
    const pace = isNative(this.writer.protocol) ? heartbeat : pythonHeartbeat;
    if (pace !== undefined) this.#heartbeat = new Heartbeat(this, this.#shared, pace);
    this.source.run();
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
    this.#heartbeat?.stop();
    this.writer.ungranted();
    this.#owner.ended("peer-closed");
  }

  failed(error: Error, reason: CloseReason): void {
    this.#owner.ended(reason, error);
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
    this.#owner.ended("heartbeat", error);
  }
}
