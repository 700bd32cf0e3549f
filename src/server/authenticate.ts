/**
 * Decides who may come in. It calls the program's `authenticate` for a peer, and watches the peer while it waits for
 * the answer.
 *
 * @module
 */

import { ConnectionError, HandshakeError, type Refusal } from "../errors.ts";
import { isThenable } from "../base/thenable.ts";
import { decodeUtf8 } from "../base/utf8.ts";
import { nonEmpty, wholeNumber } from "../base/checks.ts";
import type { Address } from "../base/address.ts";
import type { HandshakeStep, PeerIdentity } from "../wire/handshake/terms.ts";
import { printable } from "../base/untrusted.ts";
import { EMPTY } from "../wire/handshake/messages.ts";
import type { Channel } from "../link/channel.ts";
import type { ConnectionSecurity, PeerCertificate, UpgradeRequest } from "../transport.ts";

/**
 * Options of {@linkcode AuthenticateContext.refuse}.
 *
 * @category Security
 */
export interface RefuseOptions {
  /** When it is worth trying again, in milliseconds. @default not sent */
  readonly retryAfter?: number;
}

/**
 * A peer that wants to come in, as {@linkcode Authenticate} receives it.
 *
 * @category Security
 */
export interface AuthenticateContext {
  /**
   * The `credentials` of a native client: parsed JSON, not validated; `undefined` if there are none, as for Python
   * clients. The JSON is parsed at the first read. Later reads return the same value.
   */
  readonly credentials: unknown;
  /** The address that the peer connects from. */
  readonly address: Address;
  /** The protocol that the peer speaks: `"native"`, or the Python release that it announced. */
  readonly protocol: string;
  /** True if the peer speaks the native protocol. */
  readonly native: boolean;
  /** What protects the connection. */
  readonly security: "none" | ConnectionSecurity["kind"];
  /** The certificate that the client has shown and that holds; `undefined` if it has shown none. */
  readonly certificate: PeerCertificate | undefined;
  /** The public key of the client's identity, which it has proved; `undefined` if it has shown none. */
  readonly publicKey: string | undefined;
  /** The request that asked for the connection, if it is a WebSocket; `undefined` otherwise. It comes from the peer. */
  readonly request: UpgradeRequest | undefined;
  /**
   * With `authenticateAgain` of the option `resume`: the `client.principal` of the client that comes back to its session;
   * `undefined` for everyone else. Only whether the client is refused matters then: it keeps the principal that it has.
   */
  readonly principal: unknown;
  /** Aborted when nobody waits for the answer any more: the peer has left, its time is over, or the server closes. */
  readonly signal: AbortSignal;
  /**
   * Refuses the peer with a code and a message of the program's own; never returns. They reach peers with a JSON
   * handshake, including native ones.
   *
   * @param code A code of the program's own, such as `"banned"`. The client's error has it as `refusal.code`.
   * @param message The reason, for people. At most 200 characters arrive.
   * @param options When it is worth trying again.
   */
  readonly refuse: (code: string, message: string, options?: RefuseOptions) => never;
}

/**
 * Decides whether a peer may come in. The value that it returns or resolves to becomes `client.principal`. `null`,
 * `undefined`, `false`, a throw or a rejection refuses the peer. The text of an error is not sent: it appears only in
 * the `rejected` event or the log, and the peer learns only that it is `unauthorized`.
 *
 * @example Tokens
 * ```ts
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { Client, HandshakeError, messageType, Server, text } from "@veltix/core";
 *
 * const users = new Map([["s3cret", { name: "Alice" }]]);
 * const WHO = messageType(200, "who", text, text);
 *
 * await using server = new Server({
 *   port: 0,
 *   hostname: "127.0.0.1",
 *   authenticate: ({ credentials }) => typeof credentials === "string" && users.get(credentials),
 * });
 * server.on("rejected", () => {}); // It is logged otherwise.
 * server.route(WHO, (_, client) => client.principal.name);
 * await server.start();
 *
 * await using client = new Client({ ...server.addresses[0], credentials: "s3cret" });
 * await client.connect();
 * assertEquals(await client.request(WHO, ""), "Alice");
 *
 * await using other = new Client({ ...server.addresses[0], credentials: "guess" });
 * const { code } = await assertRejects(() => other.connect(), HandshakeError);
 * assertEquals(code, "unauthorized");
 * ```
 *
 * @category Security
 */
export type Authenticate<P> = (context: AuthenticateContext) => Verdict<P> | PromiseLike<Verdict<P>>;

/**
 * The principal, or a refusal.
 *
 * @category Security
 */
export type Verdict<P> = P | null | undefined | false;

/** The error that `refuse` throws. */
class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(`${refusal.message} (${refusal.code})`);
    this.refusal = refusal;
  }
}

/** One call of `authenticate`, and the connection that waits for it. */
export interface Asking {
  /** The connection. Nothing else reads it meanwhile. */
  readonly channel: Channel;
  /** The principal of a client that comes back to its session. @default the peer is new */
  readonly principal?: unknown;
  /** Takes bytes that the peer sends meanwhile. Returns the next step of the handshake. */
  readonly early: (chunk: Uint8Array) => HandshakeStep;
  /** Called with the function that ends the wait: when the time is over, or when the peer has given up. */
  readonly expires: (giveUp: (error: Error) => void) => void;
  /** Called with an error that came after the wait was over. */
  readonly late: (error: unknown) => void;
}

/** The principal, or the failed step of a peer that sent what it may not send yet. */
export type Answer<P> = { readonly principal: P } | { readonly failed: HandshakeStep };

/**
 * Asks `authenticate` about one peer.
 *
 * @returns The answer, or a promise of it.
 * @throws {HandshakeError} `unauthorized`.
 * @throws {Error} The peer has left, or the connection was aborted.
 */
export function ask<P>(
  authenticate: Authenticate<P>,
  peer: PeerIdentity,
  { channel, early, expires, late, principal }: Asking,
): Answer<P> | Promise<Answer<P>> {
  const gone = new Gone();
  const context = new Context(peer, channel, gone, principal);
  let verdict: Verdict<P> | Promise<Verdict<P>>;
  try {
    const answer = authenticate(context);
    verdict = isThenable(answer) ? Promise.resolve(answer) : answer;
  } catch (error) {
    throw refusedBy(error);
  }
  if (!(verdict instanceof Promise)) {
    if (refuses(verdict)) throw unauthorized(`authenticate returned ${verdict}`);
    return { principal: verdict as P };
  }
  const answer = verdict;
  // Check the bytes, too, that came together with the peer's last message.
  const step = early(EMPTY);
  if (step.state === "failed") {
    answer.catch(() => {});
    gone.abort(step.error);
    return { failed: step };
  }
  return new Promise((resolve, reject) => {
    let waiting = true;
    const giveUp = (error: unknown): void => {
      if (!waiting) return;
      waiting = false;
      reject(error);
      gone.abort(error);
    };
    expires(giveUp);
    const listen = (): void => {
      channel.peek().then((chunk) => {
        if (!waiting) return;
        if (chunk === null) {
          return giveUp(new ConnectionError("closed", "Cannot agree with the peer: it left before it was let in"));
        }
        void channel.read(); // Takes the chunk that `peek` returned.
        const step = early(chunk);
        if (step.state !== "failed") return listen();
        resolve({ failed: step });
        giveUp(step.error);
      }).catch(giveUp);
    };
    listen();
    answer.then((verdict) => {
      if (!waiting) return;
      waiting = false;
      if (refuses(verdict)) reject(unauthorized(`authenticate returned ${verdict}`));
      else resolve({ principal: verdict as P });
    }, (error) => {
      if (waiting) reject(refusedBy(error));
      else if (error !== gone.reason && !isRefused(error)) late(error);
      waiting = false;
    });
  });
}

/**
 * The context of one peer. `credentials` and `signal` are made when they are read: a parsed value takes many times the
 * bytes of its text.
 */
class Context implements AuthenticateContext {
  readonly address: Address;
  readonly protocol: string;
  readonly native: boolean;
  readonly principal: unknown;
  readonly #channel: Channel;
  readonly #gone: Gone;
  #text: Uint8Array | undefined;
  #credentials: unknown = undefined;

  constructor({ release, native, credentials }: PeerIdentity, channel: Channel, gone: Gone, principal: unknown) {
    this.principal = principal;
    this.address = channel.remote;
    this.#channel = channel;
    this.protocol = native ? "native" : release;
    this.native = native;
    this.#gone = gone;
    this.#text = credentials;
  }

  get credentials(): unknown {
    if (this.#text !== undefined) this.#credentials = JSON.parse(decodeUtf8(this.#text));
    this.#text = undefined;
    return this.#credentials;
  }

  get security(): AuthenticateContext["security"] {
    return this.#channel.security?.kind ?? "none";
  }

  get certificate(): PeerCertificate | undefined {
    return this.#channel.security?.certificate;
  }

  get publicKey(): string | undefined {
    return this.#channel.security?.publicKey;
  }

  get request(): UpgradeRequest | undefined {
    return this.#channel.request;
  }

  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  get refuse(): AuthenticateContext["refuse"] {
    return refuse;
  }
}

/**
 * Tracks if anybody still waits. The signal is made when it is read, because it takes more than a kilobyte, and not
 * every program reads it.
 */
class Gone {
  /** The reason why nobody waits any more. */
  reason: unknown = undefined;
  #over = false;
  #controller: AbortController | undefined = undefined;

  /** Aborted when nobody waits any more. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#over) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  /** Called when nobody waits any more. */
  abort(reason: unknown): void {
    this.#over = true;
    this.reason = reason;
    this.#controller?.abort(reason);
  }
}

function refuse(code: string, message: string, { retryAfter }: RefuseOptions = {}): never {
  nonEmpty("code", code);
  nonEmpty("message", message);
  if (retryAfter !== undefined) wholeNumber("retryAfter", retryAfter, 0);
  throw new Refused({ code: printable(code), message: printable(message), retryAfter });
}

function refuses(verdict: unknown): boolean {
  return verdict === null || verdict === undefined || verdict === false;
}

function refusedBy(error: unknown): HandshakeError {
  if (isRefused(error)) return unauthorized(error.message, { refusal: error.refusal });
  return unauthorized(`authenticate failed${textOf(error)}`, { cause: error });
}

/** Returns whether `refuse` threw the error. Anything can be thrown, even a value that throws when it is inspected. */
function isRefused(error: unknown): error is Refused {
  try {
    return error instanceof Refused;
  } catch {
    return false;
  }
}

/** Returns the text of a thrown value, which may be anything. */
function textOf(error: unknown): string {
  try {
    return error instanceof Error ? `: ${error.message}` : typeof error === "string" ? `: ${error}` : "";
  } catch {
    return "";
  }
}

/** All that the peer learns, unless the program chose a code and a message of its own. */
const GENERIC: Refusal = { code: "unauthorized", message: "The server does not let you in", retryAfter: undefined };

function unauthorized(why: string, options: ErrorOptions & { readonly refusal?: Refusal } = {}): HandshakeError {
  return new HandshakeError("unauthorized", `Cannot let the peer in: ${why}`, { refusal: GENERIC, ...options });
}
