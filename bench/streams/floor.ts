/**
 * The floor of streams: frames with a checksum on a runtime's own sockets, each piece or item a frame. Nothing holds the
 * sender back but the socket.
 *
 * @module
 */

import { CODE } from "../floor/frame.ts";
import type { Outbox } from "../floor/outbox.ts";
import { Parser } from "../floor/parser.ts";
import type { Socket, Sockets } from "../floor/sockets.ts";
import { Arrivals, payloadsOf, type StreamPeer, type StreamSubject, type Transfer } from "./subject.ts";

const NOTHING = new Uint8Array(0);

/** Makes a subject of sockets and a way to send. */
export function streamFloor(sockets: Sockets, outboxOf: (socket: Socket) => Outbox): StreamSubject {
  return {
    items: true,
    serve: () =>
      sockets.listen((socket) => {
        const outbox = outboxOf(socket);
        let arrivals: Arrivals | undefined;
        const parser = new Parser((code, _id, content) => {
          if (code === CODE.request) {
            const transfer: Transfer = JSON.parse(new TextDecoder().decode(content));
            arrivals = new Arrivals(transfer);
            if (transfer.direction === "down") void sendAll(outbox, transfer);
          } else if (arrivals?.take(content) === true) outbox.frame(CODE.reply, 0, NOTHING);
        });
        outbox.frame(CODE.greeting, 0, NOTHING);
        return { data: (chunk) => parser.push(chunk), closed: () => {} };
      }),
    async connect(port): Promise<StreamPeer> {
      const { promise, resolve } = Promise.withResolvers<StreamPeer>();
      await sockets.connect(port, (socket) => {
        const outbox = outboxOf(socket);
        let arrivals: Arrivals | undefined;
        let done = (): void => {};
        const peer: StreamPeer = {
          async run(transfer): Promise<void> {
            arrivals = new Arrivals(transfer);
            const arrived = new Promise<void>((resolve) => done = resolve);
            outbox.frame(CODE.request, 0, new TextEncoder().encode(JSON.stringify(transfer)));
            if (transfer.direction === "up") await sendAll(outbox, transfer);
            await arrived;
          },
          close(): Promise<void> {
            socket.close();
            return Promise.resolve();
          },
        };
        const parser = new Parser((code, _id, content) => {
          if (code === CODE.greeting) resolve(peer);
          else if (code === CODE.reply || arrivals!.take(content)) done();
        });
        return { data: (chunk) => parser.push(chunk), closed: () => {} };
      });
      return await promise;
    },
  };
}

async function sendAll(outbox: Outbox, transfer: Transfer): Promise<void> {
  const payloads = payloadsOf(transfer);
  for (let i = 0; i < transfer.count; i++) {
    outbox.frame(CODE.message, 0, payloads.next());
    if (outbox.full) await outbox.ready();
  }
}
