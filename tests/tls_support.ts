/**
 * The certificates of the tests, and a transport that is TLS on both ends.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { AcceptQueue } from "../src/adapters/accept_queue.ts";
import { tlsSockets } from "../src/adapters/tls.ts";
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
    listen: async (at, options) => new Secured(await server.listen(at, options)),
  };
}

class Secured implements Listener {
  readonly #listener: Listener;
  readonly #queue = new AcceptQueue();

  constructor(listener: Listener) {
    this.#listener = listener;
    void this.#accept();
  }

  get address(): Listener["address"] {
    return this.#listener.address;
  }

  async #accept(): Promise<void> {
    for await (const arrival of this.#listener) {
      arrival.secure!().then((connection) => this.#queue.push(connection), () => {});
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
