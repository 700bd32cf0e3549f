/**
 * Drives a handshake machine over a connection, under one deadline for all of it: a peer that is silent, or drips, costs its
 * own connection and nothing else.
 *
 * @module
 */

import { ConnectionError, HandshakeError } from "../errors.ts";
import type { Connection } from "../transport.ts";
import type { HandshakeOutcome, HandshakeStep } from "../wire/handshake.ts";
import { Timeout, type TimerWheel } from "./timer_wheel.ts";

/** One end's state machine; see `src/wire`. */
export interface HandshakeMachine {
  /** The first step. */
  start(): HandshakeStep;
  /** The step after these bytes. */
  push(chunk: Uint8Array): HandshakeStep;
  /** Lets a peer in; only on a server. */
  accept?(): HandshakeStep;
}

/** How to negotiate. */
export interface NegotiateOptions {
  /** For the deadline. */
  readonly wheel: TimerWheel;
  /** For all of it, in milliseconds. */
  readonly timeout: number;
  /** Called when the first bytes came. */
  readonly onBytes?: () => void;
  /** What came so far, for the message of a timeout. */
  readonly received?: () => string;
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
  const deadline = new Timeout(() => {
    const received = options.received === undefined ? "" : `, it sent ${options.received()}`;
    connection.abort(
      new HandshakeError(
        "handshake-timeout",
        `Cannot agree with the peer: it did not finish the handshake within ${timeout} ms${received}`,
      ),
    );
  });
  wheel.add(deadline, timeout);
  try {
    let step = machine.start();
    for (;;) {
      if (step.state === "proposed") {
        step = machine.accept!();
        continue;
      }
      if (step.send !== undefined) await connection.write(step.send);
      if (step.state === "open") return step.outcome;
      if (step.state === "failed") throw step.error;
      const chunk = await connection.read();
      if (chunk === null) {
        throw new ConnectionError(
          "closed",
          "Cannot agree with the peer: it closed the connection during the handshake",
        );
      }
      options.onBytes?.();
      step = machine.push(chunk);
    }
  } finally {
    wheel.remove(deadline);
  }
}
