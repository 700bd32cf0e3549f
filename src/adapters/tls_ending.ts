/**
 * Tells whether the bytes of a peer ended by its `close_notify`, or were cut by somebody on the way. No runtime reports
 * that. Deno shows the records, as TLS has a stream of its own there. Node shows whether its socket still reads: after
 * FIN it does not. Bun shows neither, so that a cut cannot be told from an end.
 *
 * @module
 */

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { WithHandle } from "./node_channel.ts";

/** The size of the header of a record, in bytes: its type, its version and its length. */
const HEADER_SIZE = 5;
const ALERT = 0x15;
const APPLICATION_DATA = 0x17;
/**
 * The length of an alert in TLS 1.3, which looks like data: two bytes, their true type, and a tag of 16 bytes. Data of two
 * bytes would have that length, too, but every write of this library is longer.
 */
const HIDDEN_ALERT = 19;

/** Follows the records of a peer, and knows whether the last one was an alert. */
export class RecordTail {
  readonly #header = new Uint8Array(HEADER_SIZE);
  /** How many bytes of the header have arrived. */
  #begun = 0;
  /** How many bytes of the record after its header are still to come. */
  #missing = 0;

  /** Takes the next bytes. */
  add(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#begun === HEADER_SIZE && this.#missing === 0) this.#begun = 0;
      if (this.#begun < HEADER_SIZE) {
        this.#header[this.#begun++] = chunk[at++];
        if (this.#begun === HEADER_SIZE) this.#missing = this.#length;
        continue;
      }
      const skipped = Math.min(this.#missing, chunk.length - at);
      this.#missing -= skipped;
      at += skipped;
    }
  }

  /** True if the bytes end with an alert that is complete. */
  get isAlert(): boolean {
    const type = this.#header[0];
    return this.#begun === HEADER_SIZE && this.#missing === 0 &&
      (type === ALERT || type === APPLICATION_DATA && this.#length === HIDDEN_ALERT);
  }

  get #length(): number {
    return this.#header[3] << 8 | this.#header[4];
  }
}

const CUT = Symbol("cut");

interface WatchedSocket extends TLSSocket {
  [CUT]: boolean;
}

/**
 * Returns a function that tells, after the end of a TLS socket, whether its peer was cut off. Called once TLS is agreed on.
 *
 * @param tls The socket of TLS.
 * @param socket The socket below it.
 */
export function watchEnd(tls: TLSSocket, socket: Socket): () => boolean {
  const watched = tls as WatchedSocket;
  const { push } = watched;
  watched[CUT] = false;
  // At the moment of this call, FIN has stopped the socket below, and `close_notify` has not. Later it may be over anyway.
  watched.push = function (chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk === null) watched[CUT] = hasStopped(tls, socket);
    return push.call(tls, chunk, encoding);
  };
  return () => watched[CUT];
}

function hasStopped({ _handle: above }: WithHandle<TLSSocket>, { _handle: below }: WithHandle<Socket>): boolean {
  // A socket that was stopped by its reader cannot have met FIN.
  if (above?.reading !== true || typeof below?.readStart !== "function") return false;
  if (below.readStart() !== 0) return false;
  below.readStop?.();
  return true;
}
