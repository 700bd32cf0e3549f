/**
 * Drives a handshake machine over a channel, under one deadline for the whole handshake. A peer that is silent, or
 * sends very slowly, loses its own connection and disturbs no other.
 *
 * @module
 */

import { ConnectionError, HandshakeError } from "../errors.ts";
import type { HandshakeOutcome, HandshakeStep, PeerIdentity } from "../wire/handshake/terms.ts";
import type { Channel } from "./channel.ts";
import type { StrangerTurns } from "./stranger_turns.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";

/** The most time to send the refusal to a peer about which nothing was decided in time, in milliseconds. */
const LAST_WORD_TIME = 1_000;

/** The state machine of one side; see `src/wire`. */
export interface HandshakeMachine {
  /** Returns the first step. */
  start(): HandshakeStep;
  /** Returns the step after these bytes. */
  push(chunk: Uint8Array): HandshakeStep;
  /** Lets the peer in, and returns the next step. Only on a server. */
  accept?(): HandshakeStep;
  /** Describes how far a peer got that closed or was too late, and the likely cause, for error messages. */
  unfinished(how: "closed" | "late"): string;
}

/** Options of {@linkcode negotiate}. */
export interface NegotiateOptions {
  /** Lets connections take turns when many arrive at once. Without it, none waits for others. */
  readonly turns?: StrangerTurns;
  /** Runs the deadline. */
  readonly wheel: TimerWheel;
  /** The most time for the whole handshake, in milliseconds. */
  readonly timeout: number;
  /**
   * Secures the channel, within the deadline. It is given the first step of the machine, may have its bytes travel with
   * its own, and returns the step to go on with.
   */
  readonly secure?: ((step: HandshakeStep) => Promise<HandshakeStep>) | undefined;
  /** What `secure` agrees on, for the error of one who is too slow. @default "encryption or TLS" */
  readonly securing?: string | undefined;
  /**
   * Decides whether to let in a peer that has said who it is, and returns the next step of the machine. Without it,
   * every peer is let in. The function that it passes to `expires` is called when the time is over, so that the peer
   * can still be sent the reason.
   */
  readonly decide?: (
    peer: PeerIdentity,
    expires: (giveUp: (error: HandshakeError) => void) => void,
  ) => Promise<HandshakeStep> | HandshakeStep;
}

/**
 * Performs the handshake with the peer.
 *
 * @returns What was agreed on. The channel is open, and its next bytes are frames.
 * @throws {HandshakeError} The peer was too slow or does not fit. The caller must then call {@linkcode Channel.linger}.
 * @throws {ConnectionError} The connection was lost, or closed by the peer (`closed`).
 */
export async function negotiate(
  channel: Channel,
  machine: HandshakeMachine,
  options: NegotiateOptions,
): Promise<HandshakeOutcome> {
  const { wheel, timeout, turns } = options;
  let deciding = false;
  let securing = options.secure !== undefined;
  let giveUp: ((error: HandshakeError) => void) | undefined;
  const deadline = new Timeout(() => {
    if (deciding && giveUp !== undefined) {
      giveUp(undecided(timeout));
      // A peer that does not read the refusal in time is cut without it.
      wheel.add(deadline, LAST_WORD_TIME);
      return;
    }
    const error = deciding ? undecided(timeout) : new HandshakeError(
      "handshake-timeout",
      `Cannot agree with the peer: ${
        securing ? `${options.securing ?? "encryption or TLS"} was not agreed on` : "it did not finish the handshake"
      } ` +
        `within ${timeout} ms${securing ? "" : `, ${machine.unfinished("late")}`}`,
    );
    channel.abort(error);
  });
  wheel.add(deadline, timeout);
  try {
    let step = machine.start();
    if (options.secure !== undefined) step = await options.secure(step);
    securing = false;
    for (;;) {
      if (step.state === "proposed") {
        deciding = true;
        const decided = options.decide?.(step.peer, (fn) => giveUp = fn) ?? machine.accept!();
        step = decided instanceof Promise ? await decided : decided;
        deciding = false;
        giveUp = undefined;
        continue;
      }
      if (step.send !== undefined) await channel.write(step.send);
      if (step.state === "open") {
        channel.unread(step.rest);
        return step.outcome;
      }
      if (step.state === "failed") throw step.error;
      const chunk = await channel.read();
      if (chunk === null) {
        throw new ConnectionError(
          "closed",
          `Cannot agree with the peer: it closed the connection during the handshake, ${machine.unfinished("closed")}`,
        );
      }
      const turn = turns?.next();
      if (turn !== undefined) {
        channel.stopReading();
        await turn;
      }
      const from = turns?.begin() ?? 0;
      step = machine.push(chunk);
      turns?.end(from);
    }
  } finally {
    wheel.remove(deadline);
  }
}

function undecided(timeout: number): HandshakeError {
  const text = `Cannot agree with the peer: it was not decided within ${timeout} ms whether to let it in`;
  const message = `It was not decided within ${timeout} ms whether to let the client in`;
  return new HandshakeError("handshake-timeout", text, {
    refusal: { code: "handshake-timeout", message, retryAfter: undefined },
  });
}
