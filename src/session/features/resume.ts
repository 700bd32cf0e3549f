/**
 * Implements resumption: a session outlives its connection. Each side counts the bytes of all frames, tells the other how
 * many it has received (ACK), and keeps what it has written until the other side has it. When the client comes back over
 * another connection, both tell each other how far they got, and what is missing is written again.
 *
 * @module
 */

import type { Clock } from "../../base/clock.ts";
import { Fifo } from "../../base/fifo.ts";
import { TimerEntry } from "../../base/timer_wheel.ts";
import { integerMember, type PeerObject, stringMember } from "../../base/untrusted.ts";
import { ProtocolError } from "../../errors.ts";
import { KeptBytes } from "../../link/kept_bytes.ts";
import type { ReceivedFrame } from "../../wire/decoded_frame.ts";
import { SystemCode } from "../../wire/frame.ts";
import { get32, put32 } from "../../wire/integers.ts";
import type { Feature, FeatureHost, FeaturePart } from "../feature.ts";
import {
  ID_BYTES,
  isToken,
  KEY_BYTES,
  RESUME,
  type ResumeTerms,
  type ResumptionPart,
  type SessionTicket,
} from "../resumption.ts";
import type { AckProbe } from "../delivery_log.ts";

/** How long an ACK may wait, in milliseconds. */
const ACK_MS = 200;
/** How long an ACK has waited before it is written together with something else, in milliseconds. */
const RIDE_MS = 50;
/** So many bytes without an ACK make one due at once; a quarter of what the peer keeps, if that is less. */
const ACK_BYTES = 256 * 1024;
/** No fewer do, so that a peer that claims to keep hardly any gets no ACK for each of its bytes. */
const LEAST_ACK_BYTES = 1024;
/** A peer may send one ACK for each frame, and one for so many bytes; for a quarter of `buffer`, if that is less. */
const ALLOWED_BYTES = 64 * 1024;
/** How often a server acknowledges a part of a large frame, in milliseconds. Its client would suspect its silence. */
const PART_MS = 1_000;
/** The least silence after which a client takes its connection for dead, in milliseconds. */
const SUSPECT_MS = 2_000;
/** The same in smoothed round trips. The longer time counts. */
const SUSPECT_TRIPS = 4;
/** How much more than `buffer` and one frame may be kept, in bytes: frames that are always written. */
const SLACK = 1024 * 1024;
/** The size of an ACK, in bytes. */
const ACK_SIZE = 24;
const DEFAULT_KEEP = 30_000;
const DEFAULT_BUFFER = 1024 * 1024;

/**
 * The feature `resume`. A server's greeting offers `{keep, buffer}`, a client asks with `{buffer}`, and the server answers
 * with the ticket of the session, `{id, key}`.
 */
export function resume({ keep, buffer }: ResumeTerms): Feature {
  const offered: PeerObject = keep === undefined ? { buffer } : { keep, buffer };
  return {
    name: RESUME,
    codes: [SystemCode.ACK],
    needs: ["credit", "goaway"],
    offer: () => offered,
    check: (flags, code, id) =>
      code === SystemCode.ACK && (flags !== 0 || id !== 0) ? "ACK has a flag or an id" : undefined,
    confirm: (_ours, theirs) =>
      ticketIn(theirs) !== undefined || integerMember(theirs, "received", 0, MOST) !== undefined,
    attach(ours, theirs, host, clock, greeted): FeaturePart | undefined {
      const client = host.side === "client";
      const ticket = ticketIn(client ? theirs : ours);
      if (ticket === undefined) return undefined;
      const said = client ? greeted : theirs;
      return new Resume(host, clock, ticket, {
        client,
        buffer,
        keep: keep ?? integerMember(greeted, "keep", 1, 0x7fffffff) ?? DEFAULT_KEEP,
        theirs: integerMember(said, "buffer", 1, MOST) ?? DEFAULT_BUFFER,
      });
    },
  };
}

const MOST = Number.MAX_SAFE_INTEGER;

function ticketIn(parameters: PeerObject): SessionTicket | undefined {
  const id = stringMember(parameters, "id");
  const key = stringMember(parameters, "key");
  return isToken(id, ID_BYTES) && isToken(key, KEY_BYTES) ? { id, key } : undefined;
}

/** What was agreed on. */
interface Agreed {
  readonly client: boolean;
  /** How much this side keeps, in bytes. */
  readonly buffer: number;
  /** How much the other side keeps, in bytes. */
  readonly theirs: number;
  /** How long the server keeps the session without a connection, in milliseconds. */
  readonly keep: number;
}

/** Messages that count as delivered when the peer has the ordered bytes up to a position. */
interface Mark extends AckProbe {
  readonly position: number;
}

/** The resumption of one session. */
class Resume extends TimerEntry implements FeaturePart, ResumptionPart {
  readonly ticket: SessionTicket;
  readonly keep: number;
  readonly buffer: number;
  readonly #host: FeatureHost;
  /** The number of bytes that make an ACK due at once. */
  readonly #quick: number;
  /** The offset of the last ACK that was sent, and the number of frames other than ACK that it covers. */
  #told = 0;
  #toldFrames = 0;
  /** How many ACKs have arrived, and how many were sent. */
  #acks = 0;
  #acksSent = 0;
  /** True while an ACK waits, at most {@linkcode ACK_MS}. */
  #due = false;
  /** The time at which the first frame that it is for arrived, by the clock. */
  #dueFrom = 0;
  /** True if the timer runs only because a part of a frame has come. */
  #part = false;
  readonly #marks = new Fifo<Mark>();
  /** Finds out if the connection is dead. Only on a client. */
  readonly #watch: Suspicion | undefined;

  constructor(host: FeatureHost, clock: Clock, ticket: SessionTicket, { buffer, client, keep, theirs }: Agreed) {
    super();
    this.#host = host;
    this.ticket = ticket;
    this.keep = keep;
    this.buffer = buffer;
    this.#quick = quickly(theirs);
    this.#watch = client ? new Suspicion(host, clock) : undefined;
    const { link, sender } = host;
    const kept = new KeptBytes(buffer, buffer + sender.maxMessageSize + SLACK, link.writer.scheduler);
    link.keep(kept, () => this.#ride(), () => this.#consumed());
    sender.marks = this;
    // Until something has come on a session, its server does not know whether its client knows of it.
    if (client) this.#tell();
  }

  get resumption(): ResumptionPart {
    return this;
  }

  get received(): number {
    return this.#host.link.received;
  }

  get written(): number {
    return this.#host.link.written;
  }

  get acknowledged(): number {
    return this.#host.link.acknowledged;
  }

  get suspended(): boolean {
    return this.#host.link.away;
  }

  get suspect(): boolean {
    return this.#watch?.suspect === true;
  }

  get heldBytes(): number {
    return this.#host.link.heldBytes + this.#host.inbox.queuedBytes;
  }

  control(frame: ReceivedFrame, { inbox, sender }: FeatureHost): boolean {
    if (frame.code !== SystemCode.ACK) return false;
    if (frame.size !== 8) throw new ProtocolError("protocol-error", "The peer sent an ACK that is no u64");
    // A peer has a reason to acknowledge only after something was sent. Further ACKs are charged.
    if (++this.#acks > sender.frames + this.written / Math.min(ALLOWED_BYTES, this.buffer / 4)) inbox.permits(frame);
    const offset = get32(frame.content, 0) * 0x1_0000_0000 + get32(frame.content, 4);
    if (offset > this.written) {
      throw new ProtocolError("protocol-error", `The peer acknowledged ${offset} bytes of the ${this.written} written`);
    }
    if (offset > this.acknowledged) this.acknowledge(offset);
    return true;
  }

  /** Called when the peer has all bytes before `offset`. */
  acknowledge(offset: number): void {
    this.#host.link.acknowledge(offset);
    this.#watch?.acknowledged();
    const position = this.#host.link.acknowledgedOrdered;
    while (this.#marks.size > 0 && this.#marks.first!.position <= position) {
      this.#host.sender.delivered(this.#marks.shift().ackedMessages);
    }
  }

  probe(ackedMessages: number): AckProbe {
    const mark = { position: this.#host.sender.writer.scheduler.taken, ackedMessages };
    // No further ACK comes for what the peer has acknowledged already.
    if (mark.position <= this.#host.link.acknowledgedOrdered) this.#host.sender.delivered(ackedMessages);
    else this.#marks.push(mark);
    return mark;
  }

  /** Called when the connection was left. */
  left(): void {
    this.#stop();
    this.#watch?.stop();
  }

  /** Called when the session goes on over another connection. The peer has just been told what was received. */
  entered(): void {
    this.#told = this.received;
    this.#toldFrames = this.#others;
    this.#watch?.start();
  }

  close(): void {
    this.#stop();
    this.#watch?.stop();
    this.#marks.clear();
  }

  /** Called when an ACK may wait no longer. */
  override expire(): void {
    const { link: { source } } = this.#host;
    if (this.#due || this.#part && source.partial > ACK_SIZE && this.received > this.#told) this.#tell();
    this.#part = false;
  }

  /** The number of frames other than ACK that have arrived. */
  get #others(): number {
    return this.#host.link.frames - this.#acks;
  }

  /** Called when the frames of a chunk have been handed out. */
  #consumed(): void {
    if (this.suspended) return;
    if (this.received - this.#told >= this.#quick) this.#tell();
    else if (this.#due) return;
    else if (this.#others > this.#toldFrames) {
      this.#due = true;
      this.#dueFrom = this.#host.link.source.lastRead;
      if (this.tick >= 0 && !this.#part) return;
      this.#part = false;
      this.#host.wheel.add(this, ACK_MS);
    } else if (this.#watch === undefined && this.tick < 0 && this.#host.link.source.partial > ACK_SIZE) {
      this.#part = true;
      this.#host.wheel.add(this, PART_MS);
    }
  }

  /** Called before something is written. An ACK may go with it. */
  #ride(): void {
    this.#watch?.writes(this.#acksSent * ACK_SIZE);
    // An ACK with every answer would cost a tenth of a fast round trip.
    if (this.#due && this.#host.link.source.lastRead - this.#dueFrom >= RIDE_MS) this.#tell();
  }

  /** Sends an ACK. */
  #tell(): void {
    this.#due = false;
    this.#acksSent++;
    const { received } = this;
    this.#told = received;
    this.#toldFrames = this.#others;
    const content = new Uint8Array(8);
    put32(content, 0, Math.floor(received / 0x1_0000_0000));
    put32(content, 4, received % 0x1_0000_0000);
    this.#host.sender.control("ack", SystemCode.ACK, 0, content);
  }

  #stop(): void {
    this.#due = this.#part = false;
    this.#host.wheel.remove(this);
  }
}

/** Returns how many bytes make an ACK due at once if the other side keeps `buffer` bytes. */
function quickly(buffer: number): number {
  return Math.max(LEAST_ACK_BYTES, Math.min(ACK_BYTES, Math.floor(buffer / 4)));
}

/** Finds out whether a client's connection may be dead: nothing comes although something waits to be acknowledged. */
class Suspicion extends TimerEntry {
  readonly #host: FeatureHost;
  readonly #clock: Clock;
  /** The number of bytes of all frames other than ACK that were sent. */
  #others = 0;
  /** An offset at which the last of these frames ends, or a later one. */
  #end = 0;
  /** The time since which one of these frames waits to be acknowledged, by the clock; -1 if none does. */
  #waitsFrom = -1;
  /** The offset and the time of a write whose round trip is measured; -1 for none. */
  #measured = -1;
  #measuredAt = 0;
  /** The smoothed round trip, in milliseconds; -1 before the first one. */
  #trip = -1;
  /** The number of bytes that had arrived when the connection was suspected; -1 if it is not. */
  #heard = -1;

  constructor(host: FeatureHost, clock: Clock) {
    super();
    this.#host = host;
    this.#clock = clock;
  }

  /** True if the connection is suspected and nothing has come since. */
  get suspect(): boolean {
    return this.#heard === this.#host.link.received;
  }

  /** Called before something is written. `acks` is the number of bytes of all ACKs so far. */
  writes(acks: number): void {
    const { link, sender } = this.#host;
    // Frames are counted only after they are written, so bytes are counted here.
    const end = link.written + sender.writer.buffered;
    if (end - acks > this.#others) this.#end = end;
    this.#others = end - acks;
    if (this.#end <= link.written || this.#measured >= 0 && this.#waitsFrom >= 0) return;
    const now = this.#clock.now();
    if (this.#measured < 0) {
      this.#measured = link.written;
      this.#measuredAt = now;
    }
    if (this.#waitsFrom < 0) this.#wait(now);
  }

  /** Called when the peer has acknowledged something. */
  acknowledged(): void {
    const { acknowledged } = this.#host.link;
    const now = this.#clock.now();
    if (this.#measured >= 0 && acknowledged > this.#measured) {
      const trip = now - this.#measuredAt;
      this.#trip = this.#trip < 0 ? trip : this.#trip + (trip - this.#trip) / 8;
      this.#measured = -1;
    }
    this.#since(this.#waits ? now : -1);
  }

  /** Called when the session goes on over another connection. */
  start(): void {
    this.#heard = -1;
    this.#measured = -1;
    this.#waitsFrom = -1;
    if (this.#waits) this.#wait(this.#clock.now());
  }

  stop(): void {
    this.#heard = -1;
    this.#host.wheel.remove(this);
  }

  override expire(): void {
    const { link } = this.#host;
    if (this.#waitsFrom < 0 || link.away) return;
    const silent = this.#clock.now() - Math.max(this.#waitsFrom, link.lastReceived);
    const left = this.#patience - silent;
    this.#host.wheel.add(this, left > 0 ? left : this.#patience);
    if (left > 0) return;
    this.#heard = link.received;
    this.#host.suspected();
  }

  /** True if something that was written waits to be acknowledged, and it is not only an ACK. */
  get #waits(): boolean {
    const { acknowledged, written } = this.#host.link;
    return acknowledged < Math.min(this.#end, written);
  }

  get #patience(): number {
    return Math.max(SUSPECT_MS, SUSPECT_TRIPS * this.#trip);
  }

  #wait(now: number): void {
    this.#since(now);
    if (this.tick < 0) this.#host.wheel.add(this, this.#patience);
  }

  #since(now: number): void {
    this.#waitsFrom = now;
    // An encrypted connection says only whether bytes have come since it was asked last.
    void this.#host.link.lastReceived;
  }
}
