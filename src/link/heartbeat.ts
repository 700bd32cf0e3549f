/**
 * Finds dead peers. A side that has sent or heard nothing for a while sends a PING, and whoever stays silent after that is
 * gone. Any byte counts as life. What is our own fault is not held against the peer: not that we have stopped reading, and
 * not that our event loop stood still.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Clock } from "../base/clock.ts";
import { LATE_MS, TimerEntry, type TimerWheel } from "../base/timer_wheel.ts";

/** The least lateness of a look that shows that the event loop stood still, in milliseconds: three ticks of the wheel. */
const LEAST_LATE_MS = 30;

/** When a peer is asked, and when it is given up, in milliseconds. */
export interface HeartbeatPace {
  /** The silence after which a PING is sent. */
  readonly idle: number;
  /** How long after that it may go on. */
  readonly timeout: number;
}

/** The connection that is watched. */
export interface HeartbeatHost {
  /** When the last bytes were sent, by the clock. */
  readonly lastSent: number;
  /** When the last bytes came. */
  readonly lastReceived: number;
  /** Whether this side has stopped reading. */
  readonly paused: boolean;
  /** Whether a frame is arriving that a PONG could tear. No PING is sent until it ends; its pace is watched elsewhere. */
  readonly fragile: boolean;
  /** Sends a PING. */
  beat(): void;
  /** The peer is gone. */
  dead(error: ConnectionError): void;
}

/** What all heartbeats of a Server or a Client share. */
export interface HeartbeatTime {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
}

/** Watches one connection. */
export class Heartbeat extends TimerEntry {
  readonly #host: HeartbeatHost;
  readonly #time: HeartbeatTime;
  readonly #pace: HeartbeatPace;
  #due = 0;
  /** When the last PING was sent. */
  #asked = -Infinity;
  /** Silence before this is not the peer's. */
  #excused = -Infinity;

  constructor(host: HeartbeatHost, time: HeartbeatTime, pace: HeartbeatPace) {
    super();
    this.#host = host;
    this.#time = time;
    this.#pace = pace;
    this.#look(time.clock.now());
  }

  /** Ends it. */
  stop(): void {
    this.#time.wheel.remove(this);
  }

  /** Looks how long it was silent. */
  override expire(): void {
    const { idle, timeout } = this.#pace;
    const now = this.#time.clock.now();
    const { fragile } = this.#host;
    if (this.#host.paused || fragile) this.#excused = now;
    // The peer had no chance to be asked, and to answer, while the loop stood still.
    else if (now - this.#due > Math.min(LATE_MS, Math.max(LEAST_LATE_MS, timeout / 4))) {
      this.#excused = Math.max(this.#excused, now - idle);
    }
    const silent = now - this.#heard;
    if (silent >= idle + timeout) {
      const seconds = (silent / 1_000).toFixed(1);
      this.#host.dead(new ConnectionError("timed-out", `The peer sent nothing for ${seconds} s, not even a PONG`));
      return;
    }
    const asking = silent >= idle || now - this.#host.lastSent >= idle;
    if (asking && now - this.#asked >= idle) {
      this.#asked = now;
      if (!fragile) this.#host.beat();
    }
    this.#look(now);
  }

  get #heard(): number {
    return Math.max(this.#host.lastReceived, this.#excused);
  }

  #look(now: number): void {
    const { idle, timeout } = this.#pace;
    const heard = this.#heard;
    const ask = Math.max(Math.min(heard, this.#host.lastSent), this.#asked) + idle;
    const wait = Math.max(1, Math.min(ask, heard + idle + timeout) - now);
    this.#due = now + wait;
    this.#time.wheel.add(this, wait);
  }
}
