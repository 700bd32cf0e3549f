/**
 * The connections that a program hands to a server, and the terms on which it does.
 *
 * @module
 */

import { checkFunction, type Checks, type Given, readOptions, show } from "../base/checks.ts";
import type { EncryptionServerOptions } from "../encryption_seam.ts";
import type { Connection } from "../transport.ts";
import type { Recovery } from "../wire/decoder_options.ts";
import type { Protocol } from "../wire/protocols.ts";
import { noResync } from "../wire/decoder_options.ts";
import type { Authenticate } from "./authenticate.ts";
import type { OriginPlace } from "./resumable_sessions.ts";
import { askedIn, type EncryptionSettings, LISTENER_OPTIONS, type Place, type ServerOptions } from "./server_config.ts";

/**
 * Options of {@linkcode Server.accept}. `P` is what `authenticate` returns.
 *
 * @category Server
 */
export interface AcceptOptions<P = undefined> {
  /** The protocol spoken on the connection. @default the server's `protocol` */
  readonly protocol?: string;
  /** Decides whether the peer may come in. @default the server's `authenticate` */
  readonly authenticate?: Authenticate<P>;
  /** What happens when the stream of a Python peer is damaged. @default the server's `recovery` */
  readonly recovery?: "close" | "resync";
  /** Encrypts the connection; `false` for no encryption. @default the server's `encryption` */
  readonly encryption?: EncryptionServerOptions | false;
}

const { protocol, authenticate, recovery, encryption } = LISTENER_OPTIONS;
/** The checks of the options. */
export const ACCEPT_OPTIONS: Checks<Given<AcceptOptions<unknown>>> = { protocol, authenticate, recovery, encryption };

/** The place of connections that were handed over. Two of them with the same terms count as the same. */
class HandedOver<P> implements Place<P> {
  readonly protocol: Protocol;
  readonly authenticate: Authenticate<P> | undefined;
  readonly recovery: Recovery;
  readonly encryption: EncryptionSettings | undefined;
  readonly tls = undefined;
  readonly webSocket = undefined;
  readonly proxies = undefined;

  constructor(
    { protocol, authenticate, recovery, encryption }: Omit<Place<P>, "equals" | "proxies" | "tls" | "webSocket">,
  ) {
    this.protocol = protocol;
    this.authenticate = authenticate;
    this.recovery = recovery;
    this.encryption = encryption;
  }

  equals(other: OriginPlace): boolean {
    return other instanceof HandedOver && this.protocol === other.protocol &&
      this.authenticate === other.authenticate && this.recovery === other.recovery &&
      sameEncryption(this.encryption?.options, other.encryption?.options);
  }
}

/** The most encryptions that are kept, so that connections with the same options share one. */
const MOST_ENCRYPTIONS = 16;

/** Finds the places of connections that are handed to one server. */
export class HandedOverPlaces<P> {
  readonly #options: ServerOptions;
  /** By their names. */
  readonly #protocols = new Map<string, Protocol>();
  /** The encryptions that were asked for, the newest last. */
  readonly #encryptions: EncryptionSettings[] = [];

  /** @param options The checked options of the server. */
  constructor(options: ServerOptions) {
    this.#options = options;
  }

  /** The place of a connection without options. */
  get usual(): Place<P> {
    return this.placeOf({});
  }

  /**
   * Returns the place of a connection.
   *
   * @throws {RangeError | TypeError} An option is unknown or of the wrong type.
   * @throws {ConfigError} `invalid-config`: two options do not go together.
   */
  placeOf(given: AcceptOptions<P>): Place<P> {
    const read = readOptions("accept()", given, ACCEPT_OPTIONS);
    const { protocol: spoken = this.#options.protocol, encryption = this.#options.encryption } = read;
    const { authenticate = this.#options.authenticate, recovery = this.#options.recovery } = read;
    const protocol = this.#protocolOf(spoken, authenticate);
    if (read.recovery === "resync" && protocol.magic === undefined) throw noResync(`protocol "${spoken}"`);
    return new HandedOver({
      protocol,
      authenticate: authenticate as Authenticate<P> | undefined,
      recovery: recovery ?? "close",
      encryption: encryption === undefined || encryption === false ? undefined : this.#encryptionOf(encryption),
    });
  }

  #protocolOf(name: string, authenticate: Authenticate<unknown> | undefined): Protocol {
    const found = askedIn(name, authenticate);
    const known = this.#protocols.get(name);
    // The greeting of a protocol is kept with it.
    if (known === undefined) this.#protocols.set(name, found);
    return known ?? found;
  }

  #encryptionOf(options: EncryptionServerOptions): EncryptionSettings {
    const known = this.#encryptions.find((settings) => sameEncryption(settings.options, options));
    if (known !== undefined) return known;
    // The program may change its lists later.
    const { identity, allow } = options;
    const kept = { identity: Array.isArray(identity) ? [...identity] : identity, allow: allow && [...allow] };
    const settings = { options: kept, encryption: undefined };
    this.#encryptions.push(settings);
    if (this.#encryptions.length > MOST_ENCRYPTIONS) this.#encryptions.shift();
    return settings;
  }
}

/** Returns whether two encryptions have the same identities, and let in the same keys. */
function sameEncryption(one: EncryptionServerOptions | undefined, other: EncryptionServerOptions | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return sameItems([one.identity].flat(), [other.identity].flat()) && sameItems(one.allow, other.allow);
}

function sameItems(some: readonly unknown[] | undefined, others: readonly unknown[] | undefined): boolean {
  if (some === undefined || others === undefined) return some === others;
  return some.length === others.length && some.every((item, i) => item === others[i]);
}

/**
 * Checks that a value has what the server needs of a connection.
 *
 * @throws {TypeError} A member is missing, or of the wrong type.
 */
export function checkConnection(value: unknown): asserts value is Connection {
  if (typeof value !== "object" || value === null) throw new TypeError(`connection must be one, not ${show(value)}`);
  const connection = value as Connection;
  for (const name of ["read", "write", "closeWrite", "abort", "unref"] as const) {
    checkFunction(`connection.${name}`, connection[name]);
  }
  for (const name of ["secure", "readTo", "writeTo", "stopReading", "recycle", "moved"] as const) {
    if (connection[name] !== undefined) checkFunction(`connection.${name}`, connection[name]);
  }
  for (const name of ["local", "remote"] as const) checkAddress(`connection.${name}`, connection[name]);
  const { closed } = connection;
  if (typeof closed?.then !== "function") {
    throw new TypeError(`connection.closed must be a promise, not ${show(closed)}`);
  }
}

function checkAddress(name: string, value: unknown): void {
  const { path, hostname, port } = (value ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof path === "string" || typeof hostname === "string" && typeof port === "number") return;
  throw new TypeError(`${name} must be an address with hostname and port, or with path, not ${show(value)}`);
}
