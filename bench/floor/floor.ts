/**
 * The bare floor as a subject: hand-written frames on a runtime's own sockets, nothing else. The server greets each
 * connection with one empty frame, so that "connected" means accepted and not merely queued in the kernel.
 *
 * @module
 */

import type { Peer, Served, Subject } from "../subject.ts";
import { CODE, HEADER_SIZE, writeFrame } from "./frame.ts";
import type { Outbox } from "./outbox.ts";
import { Parser } from "./parser.ts";
import type { Socket, Sockets } from "./sockets.ts";

/** Requests in flight on one connection are at most this many; a power of two. */
const MAX_PENDING = 2048;

const NOTHING = new Uint8Array(0);

/** Makes a subject of sockets and a way to send. */
export function floor(sockets: Sockets, outboxOf: (socket: Socket) => Outbox): Subject {
  return {
    async serve(handlers): Promise<Served> {
      const outboxes = new Set<Outbox>();
      const port = await sockets.listen((socket) => {
        const outbox = outboxOf(socket);
        const parser = new Parser((code, id, content) => {
          if (code === CODE.request) outbox.frame(CODE.reply, id, content);
          else if (handlers.message(content)) outbox.frame(CODE.message, 0, content);
        });
        outboxes.add(outbox);
        outbox.frame(CODE.greeting, 0, NOTHING);
        handlers.connected();
        return { data: (chunk) => parser.push(chunk), closed: () => outboxes.delete(outbox) };
      });
      return {
        port,
        broadcast(content): void {
          const frame = new Uint8Array(HEADER_SIZE + content.length);
          writeFrame(frame, 0, CODE.message, 0, content);
          for (const outbox of outboxes) outbox.encoded(frame);
        },
      };
    },
    async connect(port, receive): Promise<Peer> {
      const { promise, resolve, reject } = Promise.withResolvers<Peer>();
      await sockets.connect(port, (socket) => {
        const peer = new FloorPeer(socket, outboxOf(socket));
        const parser = new Parser((code, id, content) => {
          if (code === CODE.reply) peer.replied(id, content);
          else if (code === CODE.message) receive(content);
          else resolve(peer);
        });
        return { data: (chunk) => parser.push(chunk), closed: () => reject(new Error("The connection was closed")) };
      });
      return await promise;
    },
  };
}

class FloorPeer implements Peer {
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #pending: (((reply: Uint8Array) => void) | undefined)[] = [];
  #id = 0;

  constructor(socket: Socket, outbox: Outbox) {
    this.#socket = socket;
    this.#outbox = outbox;
  }

  send(content: Uint8Array): boolean {
    this.#outbox.frame(CODE.message, 0, content);
    return !this.#outbox.full;
  }

  ready(): Promise<void> {
    return this.#outbox.ready();
  }

  request(content: Uint8Array, done: (reply: Uint8Array) => void): void {
    const id = this.#id;
    if (this.#pending[id] !== undefined) throw new Error("Cannot request: no id is free");
    this.#id = (id + 1) & (MAX_PENDING - 1);
    this.#pending[id] = done;
    this.#outbox.frame(CODE.request, id, content);
  }

  replied(id: number, content: Uint8Array): void {
    const done = this.#pending[id];
    if (done === undefined) throw new Error(`Cannot take a reply: nothing waits for id ${id}`);
    this.#pending[id] = undefined;
    done(content);
  }

  close(): Promise<void> {
    this.#socket.close();
    return Promise.resolve();
  }
}
