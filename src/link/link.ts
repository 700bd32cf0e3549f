/**
 * One connection after its handshake: frames in, frames out, and its end.
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
    /** When silent peers are asked; `undefined` for never. */
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
   * Called when the link is of no more use: at the peer's FIN, without an error; when the peer broke the protocol, with a
   * `ProtocolError`; when the connection failed, with the error. It can be called again with what fails after that.
   */
  ended(reason: CloseReason, error?: Error): void;
  /** Sends a PING. */
  sendHeartbeat(): void;
}

/** One connection. It is `draining` from the moment that nothing new may be sent, and `closed` when the socket is gone. */
export class Link implements FrameSourceEvents, FrameWriterEvents, HeartbeatHost {
  readonly source: FrameSource;
  readonly writer: FrameWriter;
  state: "open" | "draining" | "closed" = "open";
  /** True if the connection does not keep the process alive. */
  unreffed = false;
  readonly #owner: LinkOwner;
  readonly #observers: LinkShared["observers"];
  readonly #heartbeat: Heartbeat | undefined;

  /**
   * Timers start at once; `source.run` begins to read.
   *
   * @param recovery What happens to a torn stream of a Python peer.
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
    const { limits, tuning } = shared;
    this.#owner = owner;
    this.#observers = shared.observers;
    this.writer = new FrameWriter(channel, protocol, shared, this);
    this.source = new FrameSource(channel, protocol, limits.maxMessageSize, recovery, features, shared, owner, this);
    const pace = isNative(protocol) ? tuning.heartbeat : tuning.pythonHeartbeat;
    this.#heartbeat = pace === undefined ? undefined : new Heartbeat(this, shared, pace);
  }

  /** Lets the process end while the connection is open. */
  unref(): void {
    this.unreffed = true;
    this.source.channel.unref();
  }

  /** Sends FIN after what was written. Settles at the peer's FIN, and never rejects. */
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
    this.#observers.pressure?.({ full, bufferedBytes }, this.#owner.handle);
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
    return this.source.lastRead;
  }

  get paused(): boolean {
    return this.source.paused;
  }

  // Python answers a PING from another thread, in the middle of what the first one sends.
  get fragile(): boolean {
    return !isNative(this.writer.protocol) && this.source.partial > 0;
  }

  beat(): void {
    this.#owner.sendHeartbeat();
  }

  dead(error: ConnectionError): void {
    this.#owner.ended("heartbeat", error);
  }
}
