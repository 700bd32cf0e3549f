/**
 * The floors of streams: frames with a checksum on a runtime's own sockets, each piece or item a frame. Nothing holds the
 * sender back but the socket. What a program sends from and receives into differs: nothing at all, or Web Streams.
 *
 * @module
 */

import { CODE } from "../floor/frame.ts";
import type { Outbox } from "../floor/outbox.ts";
import { Parser } from "../floor/parser.ts";
import type { Socket, Sockets } from "../floor/sockets.ts";
import { Arrivals, payloadsOf, type StreamPeer, type StreamSubject, type Transfer } from "./subject.ts";

const NOTHING = new Uint8Array(0);

/** What arrives of a transfer. */
export interface Reception {
  /** Takes the content of a frame, which is valid only during the call. */
  push(content: Uint8Array): void;
  /** Resolves when everything has arrived. */
  readonly all: Promise<void>;
}

/** What a program sends from and receives into. */
export interface FloorEnds {
  /** Sends all of it. */
  send(outbox: Outbox, transfer: Transfer): Promise<void>;
  /** Begins to receive it. */
  receive(transfer: Transfer): Reception;
}

/** No ends at all: frames are made from payloads, and counted as they come. */
export const BARE: FloorEnds = {
  async send(outbox, transfer): Promise<void> {
    const payloads = payloadsOf(transfer);
    for (let i = 0; i < transfer.count; i++) {
      outbox.frame(CODE.message, 0, payloads.next());
      if (outbox.full) await outbox.ready();
    }
  },
  receive(transfer): Reception {
    const arrivals = new Arrivals(transfer);
    const { promise, resolve } = Promise.withResolvers<void>();
    return { push: (content) => arrivals.take(content) ? resolve() : undefined, all: promise };
  },
};

/** Makes a subject of sockets, a way to send, and the ends. */
export function streamFloor(
  sockets: Sockets,
  outboxOf: (socket: Socket) => Outbox,
  { receive, send }: FloorEnds,
): StreamSubject {
  return {
    items: true,
    serve: () =>
      sockets.listen((socket) => {
        const outbox = outboxOf(socket);
        let reception: Reception;
        const parser = new Parser((code, _id, content) => {
          if (code !== CODE.request) return reception.push(content);
          const transfer: Transfer = JSON.parse(new TextDecoder().decode(content));
          if (transfer.direction === "down") return void send(outbox, transfer);
          reception = receive(transfer);
          void reception.all.then(() => outbox.frame(CODE.reply, 0, NOTHING));
        });
        outbox.frame(CODE.greeting, 0, NOTHING);
        return { data: (chunk) => parser.push(chunk), closed: () => {} };
      }),
    async connect(port): Promise<StreamPeer> {
      const { promise, resolve } = Promise.withResolvers<StreamPeer>();
      await sockets.connect(port, (socket) => {
        const outbox = outboxOf(socket);
        let reception: Reception;
        let replied = (): void => {};
        const peer: StreamPeer = {
          async run(transfer): Promise<void> {
            const reply = new Promise<void>((resolve) => replied = resolve);
            if (transfer.direction === "down") reception = receive(transfer);
            outbox.frame(CODE.request, 0, new TextEncoder().encode(JSON.stringify(transfer)));
            if (transfer.direction === "down") return await reception.all;
            await send(outbox, transfer);
            await reply;
          },
          close(): Promise<void> {
            socket.close();
            return Promise.resolve();
          },
        };
        const parser = new Parser((code, _id, content) => {
          if (code === CODE.greeting) resolve(peer);
          else if (code === CODE.reply) replied();
          else reception.push(content);
        });
        return { data: (chunk) => parser.push(chunk), closed: () => {} };
      });
      return await promise;
    },
  };
}
