/**
 * Drives a handshake machine over a channel, under one deadline for all of it: a peer that is silent, or drips, costs its
 * own connection and nothing else.
 *
 * @module
 */

import { ConnectionError, HandshakeError } from "../errors.ts";
import type { HandshakeOutcome, HandshakeStep, PeerIdentity } from "../wire/handshake/terms.ts";
import type { Channel } from "./channel.ts";
import type { StrangerTurns } from "./stranger_turns.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";

/** How long the last word to a peer about which nothing was decided may take, in milliseconds. */
const LAST_WORD_TIME = 1_000;

/** One end's state machine; see `src/wire`. */
export interface HandshakeMachine {
  /** The first step. */
  start(): HandshakeStep;
  /** The step after these bytes. */
  push(chunk: Uint8Array): HandshakeStep;
  /** Lets a peer in; only on a server. */
  accept?(): HandshakeStep;
  /** What came of a peer that closed, or came no further in time, and what may be the cause; for messages. */
  unfinished(how: "closed" | "late"): string;
}

/** How to negotiate. */
export interface NegotiateOptions {
  /** Whose turn it is where many come at once; without it each goes on. */
  readonly turns?: StrangerTurns;
  /** For the deadline. */
  readonly wheel: TimerWheel;
  /** For all of it, in milliseconds. */
  readonly timeout: number;
  /**
   * Decides about a peer that has said who it is: the machine's step after that. Without it everybody is let in. What it gives to
   * `expires` is called when the time is over, so that the peer can be told.
   */
  readonly decide?: (
    peer: PeerIdentity,
    expires: (giveUp: (error: HandshakeError) => void) => void,
  ) => Promise<HandshakeStep> | HandshakeStep;
}

/**
 * Agrees with the peer.
 *
 * @returns What was agreed on. The channel is open, and its next bytes are frames.
 * @throws {HandshakeError} The peer was too slow or does not fit. The caller leaves it with {@linkcode Channel.linger}.
 * @throws {ConnectionError} The connection was lost, or closed by the peer (`closed`).
 */
export async function negotiate(
  channel: Channel,
  machine: HandshakeMachine,
  options: NegotiateOptions,
): Promise<HandshakeOutcome> {
  const { wheel, timeout, turns } = options;
  let deciding = false;
  let giveUp: ((error: HandshakeError) => void) | undefined;
  const deadline = new Timeout(() => {
    if (deciding && giveUp !== undefined) {
      giveUp(undecided(timeout));
      // A peer that does not take the last word is left without.
      wheel.add(deadline, LAST_WORD_TIME);
      return;
    }
    const error = deciding ? undecided(timeout) : new HandshakeError(
      "handshake-timeout",
      `Cannot agree with the peer: it did not finish the handshake within ${timeout} ms, ${machine.unfinished("late")}`,
    );
    channel.abort(error);
  });
  wheel.add(deadline, timeout);
  try {
    let step = machine.start();
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
      if (turn !== undefined) await turn;
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
