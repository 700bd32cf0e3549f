/**
 * The handshake of a server with one connection, and the decision whether to let it in.
 *
 * @module
 */

import { HandshakeError } from "../errors.ts";
import { type HandshakeMachine, negotiate, type NegotiateOptions } from "../link/handshake.ts";
import type { Channel } from "../link/channel.ts";
import type { StrangerTurns } from "../link/stranger_turns.ts";
import { randomId } from "../session/request_ids.ts";
import type { EndpointCore } from "../app/endpoint_core.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";
import type { HandshakeOutcome, HandshakeStep } from "../wire/handshake/terms.ts";
import { EMPTY } from "../wire/handshake/messages.ts";
import { Greeting } from "../wire/handshake/greeting.ts";
import { ServerHandshake } from "../wire/handshake/server.ts";
import type { Protocol } from "../wire/protocols.ts";
import { type Answer, ask } from "./authenticate.ts";
import type { ConnectionSlot } from "./connection_limits.ts";
import type { Offenders } from "./offenders.ts";
import type { PendingHandshakes } from "./pending_handshakes.ts";
import type { Place } from "./server_config.ts";
import type { ServerEvents } from "./server_events.ts";

/** The parts of an acceptor that all its handshakes use. */
export interface GreetContext<P> {
  readonly core: EndpointCore<ServerEvents<P>>;
  readonly wheel: TimerWheel;
  readonly handshakes: PendingHandshakes;
  readonly offenders: Offenders;
  readonly strangers: StrangerTurns;
  /** The greetings by protocol. */
  readonly greetings: Map<Protocol, Greeting>;
}

/**
 * Does the handshake with a connection. The connection stays open if it fails.
 *
 * @param network The network that the connection comes from.
 * @param slot The place of the connection within the limits. It is opened before the peer is let in. If it is an error,
 * the peer is refused with that error and gets no greeting.
 * @returns The outcome of the handshake, and the value that `authenticate` returned.
 * @throws {unknown} The handshake failed, or the connection is not let in.
 */
export async function greet<P>(
  { core, wheel, handshakes, offenders, strangers, greetings }: GreetContext<P>,
  channel: Channel,
  network: string,
  place: Place<P>,
  slot: ConnectionSlot | HandshakeError,
): Promise<[HandshakeOutcome, P]> {
  const { protocol, authenticate } = place;
  const { offer } = core.features;
  let greeting = greetings.get(protocol);
  if (greeting === undefined) greetings.set(protocol, greeting = new Greeting(protocol, offer));
  const machine = new ServerHandshake({
    protocol,
    offer,
    greeting,
    // Random bytes are expensive: generate an id only for a protocol that sends one.
    helloId: protocol.handshake === "hello" ? randomId(protocol.ids) : 0,
    nonce: crypto.randomUUID(),
    now: Date.now(),
  });
  // Without `authenticate`, the program chooses `P`.
  let principal = undefined as P;
  const letIn = (): HandshakeStep => {
    if (slot instanceof HandshakeError) throw slot;
    slot.open();
    return machine.accept();
  };
  const refuse = (error: unknown): HandshakeStep => {
    if (error instanceof HandshakeError && error.refusal !== undefined) return machine.refuse(error);
    throw error;
  };
  const take = (answer: Answer<P>): HandshakeStep => {
    if ("failed" in answer) return answer.failed;
    principal = answer.principal;
    // Other connections may have taken the last places in the meantime, so check the limits again.
    return letIn();
  };
  const decide: NegotiateOptions["decide"] = (peer, expires) => {
    try {
      if (authenticate === undefined) return letIn();
      const answer = ask(authenticate, peer, {
        channel,
        early: (chunk) => machine.push(chunk),
        expires,
        late: (error) => core.error(error),
      });
      if (!(answer instanceof Promise)) return take(answer);
      handshakes.decides(pending);
      return answer.then(take).catch(refuse);
    } catch (error) {
      return refuse(error);
    }
  };
  const pending = handshakes.begin(channel, network);
  let outcome: HandshakeOutcome;
  try {
    const turn = offenders.turn(network);
    if (turn !== undefined) {
      await turn;
      handshakes.check(pending);
    }
    const timeout = core.limits.handshakeTimeout;
    const secure = secured(channel, place, machine, strangers);
    const refusing: HandshakeMachine = {
      start: () => machine.refuse(slot as HandshakeError),
      push: (chunk) => machine.push(chunk),
      unfinished: (how) => machine.unfinished(how),
    };
    outcome = await negotiate(channel, slot instanceof HandshakeError ? refusing : machine, {
      wheel,
      timeout,
      secure,
      decide,
      turns: strangers,
    });
  } finally {
    handshakes.end(pending);
  }
  return [outcome, principal];
}

/** Returns a function that secures a channel with TLS, encryption or both; `undefined` if the place has neither. */
function secured<P>(
  channel: Channel,
  { tls, encryption }: Place<P>,
  machine: ServerHandshake,
  strangers: StrangerTurns,
): NegotiateOptions["secure"] {
  if (tls === undefined && encryption === undefined) return undefined;
  return async (step) => {
    if (tls !== undefined) {
      await channel.wrap(async (connection) => ({ connection: await connection.secure!() }));
      const fault = channel.security?.fault;
      // A client with encryption expects a hello. It hears the refusal in place of the greeting.
      if (fault instanceof HandshakeError && encryption !== undefined) step = machine.refuse(fault);
      else if (fault !== undefined) throw fault;
    }
    if (encryption === undefined) return step;
    const { send = EMPTY, ...rest } = step as { readonly send?: Uint8Array } & HandshakeStep;
    const { first } = await channel.wrap((connection) => encryption.encryption!.accept(connection, send, strangers));
    if (step.state === "failed") return rest as HandshakeStep;
    if (channel.security?.fault !== undefined) throw channel.security.fault;
    if (first.length > 0 && step.state === "waiting") return machine.push(first);
    channel.unread(first);
    return rest as HandshakeStep;
  };
}
