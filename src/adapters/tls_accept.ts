/**
 * A connection that a TLS listener has accepted. It checks the first byte itself, so that a client that does not speak
 * TLS learns why it is turned away.
 *
 * @module
 */

import type { Socket } from "node:net";
import type * as Tls from "node:tls";
import type { SecureContext, TLSSocket } from "node:tls";
import type { Address } from "../base/address.ts";
import { addressText } from "../base/address.ts";
import { builtinModule } from "../base/builtin_module.ts";
import { ConnectionError, HandshakeError, type HandshakeErrorCode } from "../errors.ts";
import type { Connection, ConnectionSecurity, Forwarded, PeerCertificate } from "../transport.ts";
import { plainIp } from "./endpoint.ts";
import { peekAt } from "./peek.ts";
import { brokenError } from "./system_errors.ts";
import { TlsChannel, TlsConnection } from "./tls_connection.ts";
import { carrierOf, type TlsCarrier } from "./tls_carrier.ts";
import { certificateOf } from "./tls_certificate.ts";
import { codeOf, tlsError, verdictOf } from "./tls_errors.ts";

const TLS = builtinModule("node:tls") as typeof Tls;

/** The certificate of a listener, and whether clients must show one. */
export interface AcceptContext {
  readonly secureContext: SecureContext;
  readonly clientCertificate: "none" | "optional" | "required";
  readonly alpn: string[];
}

/** The first byte that a client with TLS sends: it begins a record of the handshake. */
const HANDSHAKE = 0x16;
/** The alert that tells a client of a fatal protocol error, in a record of its own. */
const ALERT = Uint8Array.of(0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46);
/** How long a client may be silent at first, in milliseconds. One that waits for a greeting would wait forever. */
const SILENCE = 3_000;

/** Makes a connection of a socket on which TLS is agreed on. It takes care of the errors of the socket from then on. */
export type AdoptTls = (tls: TLSSocket, carrier: TlsCarrier, security: ConnectionSecurity) => Promise<Connection>;

/**
 * An accepted connection before its handshake. {@linkcode TlsArrival.secure} returns the connection to use. Before that,
 * only the header of a proxy can be read.
 */
export class TlsArrival implements Connection {
  readonly local: Address;
  remote: Address;
  readonly #socket: Socket;
  readonly #bufferSize: number;
  readonly #context: AcceptContext;
  readonly #adopt: AdoptTls | undefined;
  readonly #over = Promise.withResolvers<Error | undefined>();
  /** Rejects the promise that `read` or `secure` waits for; `undefined` if neither waits. */
  #fail: ((error: Error) => void) | undefined = undefined;
  #error: Error | undefined = undefined;
  /** True once {@linkcode secure} was called. */
  #begun = false;
  /** The connection that has taken the place of this one. */
  #made: Connection | undefined = undefined;
  #tls: TLSSocket | undefined = undefined;

  /**
   * @param socket The accepted socket.
   * @param bufferSize How much is read at once, in bytes.
   * @param address The address of the listener.
   * @param context The certificate, and what is asked of clients.
   * @param adopt Makes the connection, if it is not the plain bytes that TLS carries.
   */
  constructor(socket: Socket, bufferSize: number, address: Address, context: AcceptContext, adopt?: AdoptTls) {
    this.#socket = socket;
    this.#bufferSize = bufferSize;
    this.#context = context;
    this.#adopt = adopt;
    this.local = address;
    this.remote = "path" in address
      ? { path: "" }
      : { hostname: plainIp(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
    socket.on("error", (error) => this.#end(brokenError(this.#cannot, error)));
    socket.on("close", () => this.#end(new ConnectionError("reset", `${this.#cannot}: the connection was reset`)));
  }

  get closed(): Promise<Error | undefined> {
    return this.#over.promise;
  }

  secure(forwarded?: Forwarded): Promise<Connection> {
    this.#begun = true;
    if (forwarded !== undefined) {
      this.remote = forwarded.remote;
      if (forwarded.rest.length > 0) this.#socket.unshift(forwarded.rest);
    }
    return this.#whileOpen(async (broken) => {
      await Promise.race([this.#first(), broken]);
      return await Promise.race([this.#handshake(), broken]);
    });
  }

  read(): Promise<Uint8Array | null> {
    if (this.#begun) return Promise.reject(this.#error ?? this.#notYet());
    return this.#whileOpen(async (broken) => await Promise.race([peekAt(this.#socket), broken]) as Uint8Array | null);
  }

  write(): Promise<void> {
    return Promise.reject(this.#error ?? this.#notYet());
  }

  closeWrite(): Promise<void> {
    if (this.#tls === undefined) this.#socket.end();
    return Promise.resolve();
  }

  abort(reason?: Error): void {
    // Whoever waits for `secure` may not have the other one yet.
    if (this.#made !== undefined) return this.#made.abort(reason);
    this.#end(reason ?? new ConnectionError("closed", `${this.#cannot}: the connection was aborted`));
  }

  unref(): void {
    this.#socket.unref();
  }

  /** Waits for some work. It is given a promise that rejects when the connection breaks. */
  async #whileOpen<Value>(work: (broken: Promise<never>) => Promise<Value>): Promise<Value> {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => {});
    this.#fail = reject;
    if (this.#error !== undefined) throw this.#error;
    try {
      return await work(promise);
    } finally {
      this.#fail = undefined;
    }
  }

  #notYet(): ConnectionError {
    return new ConnectionError("closed", `${this.#cannot}: TLS is not there yet`);
  }

  get #cannot(): string {
    return `Cannot agree with "${addressText(this.remote)}"`;
  }

  #end(error: Error): void {
    // On Bun, the underlying socket is closed at the peer's FIN, while TLS goes on.
    if (this.#error !== undefined || this.#made !== undefined) return;
    this.#error = error;
    this.#tls?.destroy();
    this.#socket.destroy();
    this.#fail?.(error);
    this.#over.resolve(error);
  }

  /** Waits for the first byte, and puts it back. */
  async #first(): Promise<void> {
    const socket = this.#socket;
    const first = await peekAt(this.#socket, SILENCE);
    if (first === null) {
      throw new ConnectionError(
        "closed",
        `${this.#cannot}: it closed the connection before any byte, as a client does that speaks no TLS`,
      );
    }
    if (first !== "silent" && first[0] === HANDSHAKE) return socket.unshift(first);
    socket.end(ALERT);
    const state = first === "silent"
      ? `it sent nothing for ${SILENCE} ms, and this listener speaks TLS`
      : "it does not speak TLS";
    throw this.#refused("tls-required", state);
  }

  /** Does the handshake, and checks the certificate of the client. */
  async #handshake(): Promise<Connection> {
    const { secureContext, clientCertificate, alpn } = this.#context;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const carrier = carrierOf(this.#socket);
    const tls = this.#tls = new TLS.TLSSocket(
      carrier.stream,
      {
        isServer: true,
        secureContext,
        ALPNProtocols: alpn,
        requestCert: clientCertificate !== "none",
        // An invalid certificate is refused below, so that both ends can say why.
        rejectUnauthorized: false,
        allowHalfOpen: true,
      } as ConstructorParameters<typeof TLSSocket>[1],
    );
    const fail = (error: Error): void =>
      reject(tlsError(this.#cannot, error, "client") ?? brokenError(this.#cannot, error));
    const gone = (): void => {
      const state = "it closed the connection during TLS, as a client does that does not trust the certificate";
      reject(new ConnectionError("closed", `${this.#cannot}: ${state}`));
    };
    tls.on("error", fail);
    tls.once("end", gone);
    tls.once("close", gone);
    tls.once("secure", resolve);
    // Without this read, Node does not notice the end of the connection.
    tls.read(0);
    await promise;
    const certificate = clientCertificate === "none" ? undefined : certificateOf(tls);
    const fault = this.#faultOf(tls, certificate);
    tls.off("end", gone);
    tls.off("close", gone);
    tls.off("error", fail);
    const security: ConnectionSecurity = { kind: "tls", certificate, fault };
    if (this.#adopt !== undefined) return this.#made = await this.#adopt(tls, carrier, security);
    const channel = new TlsChannel(tls, this.#socket, carrier, this.#bufferSize, this.local, { path: "" });
    return this.#made = new TlsConnection(channel, security);
  }

  /** Returns the error if the client has shown a bad certificate, or lacks a required one. */
  #faultOf(tls: TLSSocket, certificate: PeerCertificate | undefined): HandshakeError | undefined {
    const { clientCertificate } = this.#context;
    if (clientCertificate === "none" || certificate === undefined && clientCertificate === "optional") return undefined;
    if (certificate === undefined) {
      return this.#refused("client-certificate-required", "the client showed no certificate");
    }
    const code = verify(tls);
    if (code === "") return undefined;
    const [stable, state] = verdictOf(code, certificate, "client");
    return this.#refused(stable, state);
  }

  #refused(code: HandshakeErrorCode, state: string): HandshakeError {
    const refusal = { code, message: state, retryAfter: undefined };
    return new HandshakeError(code, `${this.#cannot}: ${state}`, { refusal });
  }
}

/**
 * Returns the code of the problem with the certificate of a client; empty if the certificate is valid. Node and Deno
 * set `authorized` only on the sockets of a `tls.Server`. On this socket, the verdict is in its handle.
 */
function verify(tls: TLSSocket): string {
  const { authorized, authorizationError, _handle: handle } = tls as TLSSocket & {
    readonly authorizationError: unknown;
    readonly _handle?: { verifyError?(): { readonly code: string } | string | null };
  };
  if (authorized) return "";
  if (authorizationError) return codeOf(authorizationError);
  if (typeof handle?.verifyError !== "function") return "not verified";
  const found = handle.verifyError();
  return found === null || found === "" ? "" : codeOf(found);
}
