/**
 * Encrypts connections. Runs the state machines of the handshake over a connection, and asks whether the identity of
 * the peer is trusted.
 *
 * @module
 */

import type { Endpoint } from "../base/address.ts";
import { show } from "../base/checks.ts";
import { isThenable } from "../base/thenable.ts";
import type {
  Arrived,
  ClientEncryption,
  Encryption,
  EncryptionClientOptions,
  EncryptionServerOptions,
  ServerEncryption,
  Turns,
} from "../encryption_seam.ts";
import { ConnectionError, HandshakeError, type Refusal } from "../errors.ts";
import type { Connection } from "../transport.ts";
import { choosePrimitives } from "./choose_primitives.ts";
import { findEd25519 } from "./ed25519.ts";
import { EncryptedConnection } from "./encrypted_connection.ts";
import { ClientNoise } from "./handshake/client.ts";
import type { SuiteOffer } from "./handshake/hello.ts";
import type { ShownIdentity, Signer, Verify } from "./handshake/payload.ts";
import { ServerNoise } from "./handshake/server.ts";
import type { NoiseEndOptions, NoiseStep } from "./handshake/terms.ts";
import { Identity } from "./identity.ts";
import type { KeyPair, Primitives, Suite } from "./primitives.ts";
import { ANY_KEY, readAllow, readTrust, type TrustStore, verifyPeer } from "./trust.ts";

/**
 * Returns the encryption of this runtime.
 *
 * @param offer The suites that it offers. @default those that the runtime can do
 */
export function encryption(offer?: SuiteOffer): Encryption {
  const primitives = choosePrimitives();
  const suites = offer === undefined ? {} : { offer };
  return {
    server: (options) => new Listening(primitives, options, suites),
    client: (options) => new Connecting(primitives, options, suites),
  };
}

/** The suites to offer, as a part of the options of the two ends. */
type Suites = Pick<NoiseEndOptions, "offer">;

/** The most bytes that are kept of a client before it has proved anything. */
const MOST_HELD = 20 * 1024;
/**
 * The most bytes above that which are kept of all such clients together. A chunk of a good client may have records behind
 * message 3, up to the size of one read.
 */
const MOST_SURPLUS = 4 * 1024 * 1024;

class Listening implements ServerEncryption {
  readonly #primitives: Primitives;
  readonly #suites: Suites;
  readonly #signers: readonly Signer[];
  readonly #allow: TrustStore | undefined;
  /** The static key pairs by suite. Each is made when it is first needed, and used for all connections. */
  readonly #static = new Map<Suite, KeyPair>();
  /** The bytes above {@linkcode MOST_HELD} of all clients that wait for their turn. */
  #surplus = 0;

  constructor(primitives: Primitives, { identity, allow }: EncryptionServerOptions, suites: Suites) {
    const given = Array.isArray(identity) ? identity : [identity];
    if (given.length < 1 || given.length > 4) {
      throw new TypeError(`encryption.identity must be one to four identities, not ${given.length}`);
    }
    this.#primitives = primitives;
    this.#suites = suites;
    this.#signers = given.map((one, i) =>
      signerOf(given.length > 1 ? `encryption.identity[${i}]` : "encryption.identity", one)
    );
    this.#allow = allow === undefined ? undefined : readAllow(allow, "encryption.allow");
  }

  async accept(connection: Connection, greeting: Uint8Array, turns: Turns): Promise<Arrived> {
    const machine = new ServerNoise({
      primitives: this.#primitives,
      verify,
      signers: this.#signers,
      staticKey: (suite) => this.#keyOf(suite),
      greeting,
      ...this.#suites,
    });
    try {
      let step = machine.start();
      for (;;) {
        if (step.state === "bytes") step = await feed(connection, machine, step);
        else if (step.state === "turn") {
          const turn = turns.step();
          if (turn !== undefined) await this.#wait(turn, connection, machine.held);
          const from = turns.begin();
          step = machine.step();
          turns.end(from);
        } else if (step.state === "trust") {
          const [publicKey, fault] = await this.#known(step.identities, connection.remote);
          const done = machine.accept();
          if (done.state !== "done") throw new Error("Cannot encrypt: the handshake did not end");
          const { certificate } = connection.security ?? {};
          const security = { kind: "noise", certificate, publicKey, fault } as const;
          const encrypted = new EncryptedConnection(connection, done.outcome, security);
          // A copy, because these bytes are part of a buffer that holds the whole message.
          return { connection: encrypted, first: done.outcome.first.slice() };
        } else throw step.state === "failed" ? step.error : new Error("Cannot encrypt: the handshake ended too early");
      }
    } finally {
      machine.destroy();
    }
  }

  /** Waits for a turn of a client, which has not proved anything. Meanwhile little of it is kept, and nothing more read. */
  async #wait(turn: Promise<void>, connection: Connection, held: number): Promise<void> {
    const surplus = Math.max(0, held - MOST_HELD);
    if (this.#surplus + surplus > MOST_SURPLUS) {
      throw new HandshakeError(
        "handshake-failed",
        `Cannot let the peer in: it sent ${held} bytes before it had proved who it is, and many others did so, too`,
      );
    }
    this.#surplus += surplus;
    connection.stopReading?.();
    try {
      await turn;
    } finally {
      this.#surplus -= surplus;
    }
  }

  /**
   * Returns the key that a client has proved to be its own, and the reason not to let it in, if any. The client can
   * still be told that reason.
   */
  async #known(
    shown: readonly ShownIdentity[],
    address: Endpoint,
  ): Promise<readonly [key?: string, fault?: HandshakeError]> {
    if (this.#allow === undefined) {
      if (shown.length === 0) return [];
      const [key] = await verifyPeer(ANY_KEY, shown, address);
      return [key.publicKey];
    }
    try {
      const [key] = await verifyPeer(this.#allow, shown, address);
      return [key.publicKey];
    } catch (error) {
      if (!(error instanceof HandshakeError)) throw error;
      const { message } = error;
      return [undefined, new HandshakeError("unauthorized", message, { cause: error, refusal: NOT_ALLOWED })];
    }
  }

  #keyOf(suite: Suite): KeyPair {
    let pair = this.#static.get(suite);
    if (pair === undefined) this.#static.set(suite, pair = this.#primitives.generateKeyPair());
    return pair;
  }
}

class Connecting implements ClientEncryption {
  readonly #primitives: Primitives;
  readonly #suites: Suites;
  readonly #trust: TrustStore;
  readonly #signer: Signer | undefined;

  constructor(primitives: Primitives, { trust, identity }: EncryptionClientOptions, suites: Suites) {
    this.#primitives = primitives;
    this.#suites = suites;
    this.#trust = readTrust(trust, "encryption.trust");
    this.#signer = identity === undefined ? undefined : signerOf("encryption.identity", identity);
  }

  async connect(
    connection: Connection,
    to: Endpoint,
    answer: (greeting: Uint8Array) => Uint8Array,
    heard?: () => Promise<void>,
  ): Promise<Connection> {
    const machine = new ClientNoise({
      primitives: this.#primitives,
      verify,
      answer,
      ...this.#suites,
      ...this.#signer === undefined ? {} : { signer: this.#signer },
    });
    try {
      let step = machine.start();
      let prepare: (() => void) | undefined = () => machine.prepare();
      for (;;) {
        if (step.state === "bytes") {
          step = await feed(connection, machine, step, prepare, heard);
          prepare = heard = undefined;
        } else if (step.state === "trust") {
          const trusted = verifyPeer(this.#trust, step.identities, to);
          const [key] = isThenable(trusted) ? await whileOpen(connection, trusted) : trusted;
          const done = machine.accept();
          if (done.state !== "done") throw new Error("Cannot encrypt: the handshake did not end");
          if (done.send !== undefined) await connection.write(done.send);
          const { publicKey } = key;
          const security = { kind: "noise", certificate: connection.security?.certificate, publicKey } as const;
          return new EncryptedConnection(connection, done.outcome, security);
        } else throw step.state === "failed" ? step.error : new Error("Cannot encrypt: the handshake ended too early");
      }
    } finally {
      machine.destroy();
    }
  }
}

/** The only words that a client gets if its key is not in `allow`. */
const NOT_ALLOWED: Refusal = { code: "unauthorized", message: "The server does not let you in", retryAfter: undefined };

/**
 * Writes the bytes that a step has to send, then passes the next chunk of the peer to the machine. `meanwhile` is called
 * as soon as the bytes are on their way, and `heard` before the chunk is passed on.
 */
async function feed(
  connection: Connection,
  machine: ServerNoise | ClientNoise,
  { send }: { readonly send?: Uint8Array },
  meanwhile?: () => void,
  heard?: () => Promise<void>,
): Promise<NoiseStep> {
  const written = send === undefined ? undefined : connection.write(send);
  if (written !== undefined) meanwhile?.();
  // Both ends write first. Where nothing is kept in between, neither write settles before the other end reads.
  const [chunk] = await Promise.all([connection.read(), written]);
  if (chunk !== null) {
    if (heard !== undefined) await heard();
    return machine.push(chunk);
  }
  throw machine.finish() ??
    new HandshakeError("handshake-failed", "The peer closed the connection within the handshake");
}

/** Waits for a decision, which may never come, for as long as the connection is open. */
function whileOpen<Value>(connection: Connection, decision: Promise<Value>): Promise<Value> {
  const over = connection.closed.then((error) => {
    throw error ?? new ConnectionError("closed", "The connection was closed before it was decided whom to trust");
  });
  return Promise.race([decision, over]);
}

const verify: Verify = (publicKey, text, signature) => findEd25519().verify(signature, text, publicKey);

function signerOf(name: string, identity: unknown): Signer {
  if (!(identity instanceof Identity)) throw new TypeError(`${name} must be an Identity, not ${show(identity)}`);
  return Identity.signerOf(identity);
}
