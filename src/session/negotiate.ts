/**
 * Drives a handshake machine over a connection, under one deadline for all of it: a peer that is silent, or drips, costs its
 * own connection and nothing else.
 *
 * @module
 */

import { ConnectionError, HandshakeError } from "../errors.ts";
import type { Connection } from "../transport.ts";
import type { HandshakeOutcome, HandshakeStep, PeerIdentity } from "../wire/handshake.ts";
import { Timeout, type TimerWheel } from "../tools/timer_wheel.ts";

/** One end's state machine; see `src/wire`. */
export interface HandshakeMachine {
  /** The first step. */
  start(): HandshakeStep;
  /** The step after these bytes. */
  push(chunk: Uint8Array): HandshakeStep;
  /** Lets a peer in; only on a server. */
  accept?(): HandshakeStep;
  /** What came of a peer that closed, or came no further in time, and what may be behind it; for messages. */
  unfinished(how: "closed" | "late"): string;
}

/** How to negotiate. */
export interface NegotiateOptions {
  /** For the deadline. */
  readonly wheel: TimerWheel;
  /** For all of it, in milliseconds. */
  readonly timeout: number;
  /** Decides about a peer that has said who it is: the machine's step after that. Without it everybody is let in. */
  readonly decide?: (peer: PeerIdentity) => Promise<HandshakeStep> | HandshakeStep;
}

/**
 * Agrees with the peer.
 *
 * @returns What was agreed on; the connection is open.
 * @throws {HandshakeError} The peer was too slow or does not fit. The caller says farewell to it.
 * @throws {ConnectionError} The connection was lost, or closed by the peer (`closed`).
 */
export async function negotiate(
  connection: Connection,
  machine: HandshakeMachine,
  options: NegotiateOptions,
): Promise<HandshakeOutcome> {
  const { wheel, timeout } = options;
  let deciding = false;
  const deadline = new Timeout(() => {
    const late = deciding
      ? `it was not decided within ${timeout} ms whether to let it in`
      : `it did not finish the handshake within ${timeout} ms, ${machine.unfinished("late")}`;
    connection.abort(new HandshakeError("handshake-timeout", `Cannot agree with the peer: ${late}`));
  });
  wheel.add(deadline, timeout);
  try {
    let step = machine.start();
    for (;;) {
      if (step.state === "proposed") {
        deciding = true;
        const decided = options.decide?.(step.peer) ?? machine.accept!();
        step = decided instanceof Promise ? await decided : decided;
        deciding = false;
        continue;
      }
      if (step.send !== undefined) await connection.write(step.send);
      if (step.state === "open") return step.outcome;
      if (step.state === "failed") throw step.error;
      const chunk = await connection.read();
      if (chunk === null) {
        throw new ConnectionError(
          "closed",
          `Cannot agree with the peer: it closed the connection during the handshake, ${machine.unfinished("closed")}`,
        );
      }
      step = machine.push(chunk);
    }
  } finally {
    wheel.remove(deadline);
  }
}
