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
import type { HandshakeOutcome, HandshakeStep, PeerIdentity } from "../wire/handshake/terms.ts";
import type { FeatureSet } from "../session/feature.ts";
import { EMPTY } from "../wire/handshake/messages.ts";
import { Greeting } from "../wire/handshake/greeting.ts";
import { ServerHandshake } from "../wire/handshake/server.ts";
import type { Protocol } from "../wire/protocols.ts";
import { objectMember } from "../base/untrusted.ts";
import type { Address } from "../base/address.ts";
import type { ServerEncryption } from "../encryption_seam.ts";
import { comebackOf, RESUME, type SessionTicket } from "../session/resumption.ts";
import { type Answer, ask, type Authenticate } from "./authenticate.ts";
import { Comeback } from "./comeback.ts";
import type { ConnectionSlot } from "./connection_limits.ts";
import type { Offenders } from "./offenders.ts";
import type { Pending, PendingHandshakes } from "./pending_handshakes.ts";
import type { ResumableSessions } from "./resumable_sessions.ts";
import type { EncryptionSettings, Place } from "./server_config.ts";
import { makeEncryption } from "./spots.ts";
import type { ServerEvents } from "./server_events.ts";

/** The parts of an acceptor that all its handshakes use. */
export interface GreetContext<P> {
  readonly core: EndpointCore<ServerEvents<P>>;
  /** What is offered to native peers. */
  readonly features: FeatureSet;
  readonly wheel: TimerWheel;
  readonly handshakes: PendingHandshakes;
  readonly offenders: Offenders;
  readonly strangers: StrangerTurns;
  /** The greetings by protocol. */
  readonly greetings: Map<Protocol, Greeting>;
  /** The sessions that clients may come back to; `undefined` without the option `resume`. */
  readonly sessions: ResumableSessions | undefined;
  /** True if `authenticate` is asked about clients that come back. */
  readonly authenticateAgain: boolean;
  /** Called when a peer wants to go on with the session of another client. It is treated like any other peer. */
  stranger(address: Address, error: HandshakeError): void;
}

/** A connection whose handshake begins. */
export interface Arrival<P> {
  readonly channel: Channel;
  /** The network that it comes from. */
  readonly network: string;
  readonly place: Place<P>;
  /** The place of the connection within the limits. It is opened before the peer is let in. */
  readonly slot: ConnectionSlot;
  /** The time for the handshake, in milliseconds. */
  readonly timeout: number;
  /** The peer is refused with this error and gets no greeting; `undefined` if it is greeted. */
  readonly refused: HandshakeError | undefined;
}

/** What a handshake has led to. */
export interface Greeted<P> {
  readonly outcome: HandshakeOutcome;
  /** What `authenticate` returned. */
  readonly principal: P;
  /** The id and the key that the peer got for its new session; `undefined` if that cannot be gone on with. */
  readonly ticket: SessionTicket | undefined;
  /** The session that the peer comes back to; `undefined` if it is a new client. */
  readonly comeback: Comeback | undefined;
}

/**
 * Does the handshake with a connection. The connection stays open if it fails.
 *
 * @throws {unknown} The handshake failed, or the connection is not let in.
 */
export async function greet<P>(context: GreetContext<P>, arrival: Arrival<P>): Promise<Greeted<P>> {
  const { channel, network, place, slot, timeout, refused } = arrival;
  const { core, features: { offer }, wheel, handshakes, offenders, strangers, greetings } = context;
  const { protocol } = place;
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
  const pending = handshakes.begin(channel, network);
  const admission = new Admission(context, channel, place, slot, machine, pending);
  let outcome: HandshakeOutcome;
  try {
    const turn = offenders.turn(network);
    if (turn !== undefined) {
      channel.stopReading();
      await turn;
      handshakes.check(pending);
    }
    const secure = secured(core, channel, place, machine, strangers);
    const refusing: HandshakeMachine = {
      start: () => machine.refuse(refused!),
      push: (chunk) => machine.push(chunk),
      unfinished: (how) => machine.unfinished(how),
    };
    outcome = await negotiate(channel, refused === undefined ? machine : refusing, {
      wheel,
      timeout,
      secure,
      securing: place.webSocket && "a WebSocket, or TLS or encryption for it,",
      decide: (peer, expires) => admission.decide(peer, expires),
      turns: strangers,
    });
  } catch (error) {
    admission.comeback?.fail();
    throw error;
  } finally {
    handshakes.end(pending);
  }
  const { principal, ticket, comeback } = admission;
  return { outcome, principal, ticket, comeback };
}

/** Passes on the function that ends a wait for the program's decision. */
type Expires = (giveUp: (error: Error) => void) => void;

/** The decision about one peer. */
class Admission<P> {
  // Without `authenticate`, the program chooses `P`.
  principal = undefined as P;
  ticket: SessionTicket | undefined = undefined;
  /** The attempt that has taken a session over. */
  comeback: Comeback | undefined = undefined;
  readonly #context: GreetContext<P>;
  readonly #channel: Channel;
  readonly #place: Place<P>;
  readonly #slot: ConnectionSlot;
  readonly #machine: ServerHandshake;
  readonly #pending: Pending;
  /** True once the program has been asked and needs time. */
  #waits = false;

  constructor(
    context: GreetContext<P>,
    channel: Channel,
    place: Place<P>,
    slot: ConnectionSlot,
    machine: ServerHandshake,
    pending: Pending,
  ) {
    this.#context = context;
    this.#channel = channel;
    this.#place = place;
    this.#slot = slot;
    this.#machine = machine;
    this.#pending = pending;
  }

  /** Decides whether to let the peer in, and returns the next step of the handshake. */
  decide(peer: PeerIdentity, expires: Expires): Promise<HandshakeStep> | HandshakeStep {
    try {
      const step = this.#comesBack(peer, expires) ?? this.#enters(peer, expires);
      return step instanceof Promise ? step.catch((error) => this.#refuse(error)) : step;
    } catch (error) {
      return this.#refuse(error);
    }
  }

  /** Lets a client go on with its session. Returns `undefined` if the peer wants none, or if the session is lost for it. */
  #comesBack(peer: PeerIdentity, expires: Expires): Promise<HandshakeStep> | HandshakeStep | undefined {
    const { authenticateAgain, sessions, stranger } = this.#context;
    const channel = this.#channel;
    const claimed = sessions === undefined ? undefined : comebackOf(peer.features);
    if (claimed === undefined) return undefined;
    const place = this.#place;
    const { session, wrong } = sessions!.claim(claimed, { place, security: channel.security });
    if (wrong !== undefined) stranger(channel.remote, new HandshakeError("unauthorized", wrong));
    if (session === undefined) return undefined;
    const comeback = new Comeback(sessions!, session, claimed, channel);
    if (!authenticateAgain || place.authenticate === undefined) return this.#takesOver(comeback);
    const taken = (answer: Answer<P>): HandshakeStep | undefined =>
      "failed" in answer ? answer.failed : this.#takesOver(comeback);
    const refused = (error: unknown): never => {
      comeback.refused(error);
      throw error;
    };
    let answer: Answer<P> | Promise<Answer<P>>;
    try {
      answer = this.#ask(place.authenticate, peer, (giveUp) => {
        expires(giveUp);
        comeback.waits(giveUp);
      }, comeback.principal);
    } catch (error) {
      return refused(error);
    }
    if (!(answer instanceof Promise)) return taken(answer);
    return answer.then((answer) => taken(answer) ?? this.#enters(peer, expires), refused);
  }

  /** Takes a session over for its client. From here to the end of the step nothing waits. */
  #takesOver(comeback: Comeback): HandshakeStep | undefined {
    const own = comeback.takeOver(this.#slot);
    if (own === undefined) return undefined;
    this.comeback = comeback;
    return this.#machine.accept(own);
  }

  /** Lets a new client in. */
  #enters(peer: PeerIdentity, expires: Expires): Promise<HandshakeStep> | HandshakeStep {
    // The peer may have been greeted at a full server, as it might have had a place already.
    this.#slot.enter();
    const { authenticate } = this.#place;
    if (authenticate === undefined) return this.#letIn(peer);
    const taken = (answer: Answer<P>): HandshakeStep => {
      if ("failed" in answer) return answer.failed;
      this.principal = answer.principal;
      // Other connections may have taken the last places in the meantime, so check the limits again.
      return this.#letIn(peer);
    };
    const answer = this.#ask(authenticate, peer, expires);
    return answer instanceof Promise ? answer.then(taken) : taken(answer);
  }

  #letIn({ features }: PeerIdentity): HandshakeStep {
    this.#slot.open();
    const { sessions } = this.#context;
    if (sessions === undefined || !this.#machine.agrees(RESUME)) return this.#machine.accept();
    const ticket = this.ticket = sessions.ticket();
    const lost = Object.hasOwn(objectMember(features, RESUME)!, "id");
    return this.#machine.accept({ [RESUME]: lost ? { ...ticket, lost } : { ...ticket } });
  }

  #ask(
    authenticate: Authenticate<P>,
    peer: PeerIdentity,
    expires: Expires,
    principal?: unknown,
  ): Answer<P> | Promise<Answer<P>> {
    const answer = ask(authenticate, peer, {
      channel: this.#channel,
      principal,
      early: (chunk) => this.#machine.push(chunk),
      expires,
      late: (error) => this.#context.core.error(error),
    });
    if (answer instanceof Promise && !this.#waits) {
      this.#waits = true;
      this.#context.handshakes.decides(this.#pending);
    }
    return answer;
  }

  #refuse(error: unknown): HandshakeStep {
    if (error instanceof HandshakeError && error.refusal !== undefined) return this.#machine.refuse(error);
    throw error;
  }
}

/**
 * Returns a function that does the handshakes below that of Veltix: of TLS, of WebSockets and of the encryption; `undefined`
 * if there are none.
 */
function secured<P>(
  core: EndpointCore<ServerEvents<P>>,
  channel: Channel,
  { encryption }: Place<P>,
  machine: ServerHandshake,
  strangers: StrangerTurns,
): NegotiateOptions["secure"] {
  const { secures } = channel;
  if (!secures && encryption === undefined) return undefined;
  return async (step) => {
    if (secures) {
      await channel.wrap(async (connection) => ({ connection: await connection.secure!() }));
      const fault = channel.security?.fault;
      // A client with encryption expects a hello. It hears the refusal in place of the greeting.
      if (fault instanceof HandshakeError && encryption !== undefined) step = machine.refuse(fault);
      else if (fault !== undefined) throw fault;
    }
    if (encryption === undefined) return step;
    const { send = EMPTY, ...rest } = step as { readonly send?: Uint8Array } & HandshakeStep;
    const noise = encryption.encryption ?? await loadEncryption(core, encryption);
    const { first } = await channel.wrap((connection) => noise.accept(connection, send, strangers));
    if (step.state === "failed") return rest as HandshakeStep;
    if (channel.security?.fault !== undefined) throw channel.security.fault;
    if (first.length > 0 && step.state === "waiting") return machine.push(first);
    channel.unread(first);
    return rest as HandshakeStep;
  };
}

/** Makes the encryption of connections that no listener has accepted. */
async function loadEncryption<P>(
  core: EndpointCore<ServerEvents<P>>,
  settings: EncryptionSettings,
): Promise<ServerEncryption> {
  try {
    return await makeEncryption(core, settings);
  } catch (error) {
    // The options are wrong, so the program has to hear of it.
    core.error(error);
    throw error;
  }
}
