/**
 * The certificates of the tests, and transports that are protected on both ends.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { AcceptQueue } from "../src/adapters/accept_queue.ts";
import { nodeTransport } from "../src/adapters/node.ts";
import { tlsSockets } from "../src/adapters/tls.ts";
import { encryption } from "../src/encryption/encrypt.ts";
import { Identity } from "../src/encryption/identity.ts";
import type { TlsServerOptions } from "../src/tls_seam.ts";
import type { Connection, Listener, Transport } from "../src/transport.ts";

/** Returns the text of a file of `certificates/`. */
export function pem(name: string): string {
  return readFileSync(new URL(`certificates/${name}`, import.meta.url), "utf8");
}

/** Returns a certificate with its key. */
export function pair(name: string): { cert: string; key: string } {
  return { cert: pem(`${name}.crt`), key: pem(`${name}.key`) };
}

/** The authority that vouches for the server and the client of the tests. */
export const CA = pem("ca.crt");
/** What a good server shows. */
export const SERVER: TlsServerOptions = pair("server");

/** A transport whose connections are TLS, with the handshake of accepted ones done before they are handed out. */
export function tlsTransport(): Transport {
  const sockets = tlsSockets();
  const server = sockets.server({ context: sockets.context({ ...SERVER, ca: CA, clientCertificate: "required" }) });
  const client = sockets.client({ ca: CA, ...pair("client"), serverName: "localhost" });
  return {
    name: "tls",
    eventLoop: client.eventLoop!,
    connect: client.connect,
    listen: async (at, options) => new Secured(await server.listen(at, options), (arrival) => arrival.secure!()),
  };
}

/** Returns a transport whose connections are encrypted, with the handshake of accepted ones done, too. */
export async function encryptedTransport(): Promise<Transport> {
  const sockets = nodeTransport();
  const identity = await Identity.generate();
  const client = encryption().client({ trust: identity.publicKey });
  const server = encryption().server({ identity });
  const turns = { step: () => undefined, begin: () => 0, end: () => {} };
  const nothing = new Uint8Array(0);
  return {
    name: "encrypted",
    eventLoop: sockets.eventLoop!,
    connect: async (to, options) => await client.connect(await sockets.connect(to, options), to, () => nothing),
    listen: async (at, options) =>
      new Secured(
        await sockets.listen(at, options),
        async (arrival) => (await server.accept(arrival, nothing, turns)).connection,
      ),
  };
}

/** A listener that hands out connections when the handshakes that they have of their own are done. */
export class Secured implements Listener {
  readonly #listener: Listener;
  readonly #queue = new AcceptQueue();

  readonly #secure: (arrival: Connection) => Promise<Connection>;

  constructor(listener: Listener, secure: (arrival: Connection) => Promise<Connection>) {
    this.#listener = listener;
    this.#secure = secure;
    void this.#accept();
  }

  get address(): Listener["address"] {
    return this.#listener.address;
  }

  async #accept(): Promise<void> {
    for await (const arrival of this.#listener) {
      this.#secure(arrival).then((connection) => this.#queue.push(connection), () => {});
    }
    this.#queue.end();
  }

  close(): Promise<void> {
    return this.#listener.close();
  }

  unref(): void {
    this.#listener.unref();
  }

  [Symbol.asyncIterator](): AsyncIterator<Connection> {
    return this.#queue.iterate();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
