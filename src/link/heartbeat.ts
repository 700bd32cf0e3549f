/**
 * Finds dead peers. A side that has sent or received nothing for some time sends a PING. A peer that stays silent after
 * that is dead. Any received byte shows that the peer is alive. Silence does not count while this side has stopped
 * reading, or while its event loop stood still, because neither is the peer's fault. Where timers are throttled, the PING
 * is sent late, and the peer has its time from then on.
 *
 * @module
 */

import { ConnectionError } from "../errors.ts";
import type { Clock, EventLoop } from "../base/clock.ts";
import { LATE_MS, TimerEntry, type TimerWheel } from "../base/timer_wheel.ts";

/** The least delay of a check that shows that the event loop stood still, in milliseconds: three ticks of the wheel. */
const LEAST_LATE_MS = 30;

/** The times of a heartbeat, in milliseconds. */
export interface HeartbeatPace {
  /** The silence after which a PING is sent. */
  readonly idle: number;
  /** How much longer the silence may last. */
  readonly timeout: number;
}

/** The connection that is watched. */
export interface HeartbeatHost {
  /** The time at which the last bytes were sent, by the clock. */
  readonly lastSent: number;
  /** The time at which the last bytes arrived, by the clock. */
  readonly lastReceived: number;
  /** True while this side has stopped reading. */
  readonly paused: boolean;
  /**
   * True while a frame is arriving that a PONG could tear. No PING is sent until it is complete. Its pace is watched
   * elsewhere.
   */
  readonly fragile: boolean;
  /** Sends a PING. */
  sendHeartbeat(): void;
  /** Called when the peer is dead. */
  dead(error: ConnectionError): void;
}

/** What all heartbeats of a Server or a Client share. */
export interface HeartbeatTime {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  /** See `EventLoop.throttled`. */
  readonly throttled?: EventLoop["throttled"];
}

/** Watches one connection. */
export class Heartbeat extends TimerEntry {
  readonly #host: HeartbeatHost;
  readonly #time: HeartbeatTime;
  readonly #pace: HeartbeatPace;
  #stopped = false;
  #due = 0;
  /** The time at which a PING was last due. It is left out while the connection is fragile. */
  #asked = -Infinity;
  /** Silence before this time does not count. */
  #excused = -Infinity;

  constructor(host: HeartbeatHost, time: HeartbeatTime, pace: HeartbeatPace) {
    super();
    this.#host = host;
    this.#time = time;
    this.#pace = pace;
    this.#look(time.clock.now());
  }

  /** Stops the checks. */
  stop(): void {
    this.#stopped = true;
    this.#time.wheel.remove(this);
  }

  /** Checks how long the peer has been silent. */
  override expire(): void {
    const { idle, timeout } = this.#pace;
    const now = this.#time.clock.now();
    const { fragile } = this.#host;
    const late = now - this.#due > Math.min(LATE_MS, Math.max(LEAST_LATE_MS, timeout / 4));
    if (this.#host.paused || fragile) this.#excused = now;
    // A throttled loop has read all that has come, and a PING that it has sent could be answered. While the loop stood
    // still, no PING could be sent and no answer could be read.
    else if (late && (this.#time.throttled?.() !== true || this.#asked <= this.#heard)) {
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
      if (!fragile) this.#host.sendHeartbeat();
    }
    // There may have been no room for the PING, and this connection may have been closed to make some.
    if (!this.#stopped) this.#look(now);
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
