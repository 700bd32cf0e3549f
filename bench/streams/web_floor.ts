/**
 * The floor of streams behind Web Streams: the same frames on the same sockets, written to a `WritableStream` and read from a
 * `ReadableStream`, which needs memory of its own for each piece. The difference to the floor is what Web Streams cost.
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
export function webStreamFloor(sockets: Sockets, outboxOf: (socket: Socket) => Outbox): StreamSubject {
  return {
    items: true,
    serve: () =>
      sockets.listen((socket) => {
        const outbox = outboxOf(socket);
        let incoming: Incoming | undefined;
        const parser = new Parser((code, _id, content) => {
          if (code !== CODE.request) return incoming!.push(content);
          const transfer: Transfer = JSON.parse(new TextDecoder().decode(content));
          if (transfer.direction === "down") return void sendAll(outbox, transfer);
          incoming = new Incoming(transfer);
          void receiveAll(incoming, transfer).then(() => outbox.frame(CODE.reply, 0, NOTHING));
        });
        outbox.frame(CODE.greeting, 0, NOTHING);
        return { data: (chunk) => parser.push(chunk), closed: () => {} };
      }),
    async connect(port): Promise<StreamPeer> {
      const { promise, resolve } = Promise.withResolvers<StreamPeer>();
      await sockets.connect(port, (socket) => {
        const outbox = outboxOf(socket);
        let incoming: Incoming;
        let done = (): void => {};
        const peer: StreamPeer = {
          async run(transfer): Promise<void> {
            const replied = new Promise<void>((resolve) => done = resolve);
            incoming = new Incoming(transfer);
            outbox.frame(CODE.request, 0, new TextEncoder().encode(JSON.stringify(transfer)));
            if (transfer.direction === "down") return await receiveAll(incoming, transfer);
            await sendAll(outbox, transfer);
            await replied;
          },
          close(): Promise<void> {
            socket.close();
            return Promise.resolve();
          },
        };
        const parser = new Parser((code, _id, content) => {
          if (code === CODE.greeting) resolve(peer);
          else if (code === CODE.reply) done();
          else incoming.push(content);
        });
        return { data: (chunk) => parser.push(chunk), closed: () => {} };
      });
      return await promise;
    },
  };
}

/** What arrives: bytes as a byte stream, items as a stream of arrays. Nothing but the socket holds the peer back. */
class Incoming {
  readonly readable: ReadableStream<Uint8Array>;
  #controller: ReadableByteStreamController | ReadableStreamDefaultController | undefined;

  constructor({ kind }: Transfer) {
    this.readable = new ReadableStream({
      type: kind === "bytes" ? "bytes" : undefined,
      start: (controller: ReadableByteStreamController) => void (this.#controller = controller),
    } as UnderlyingDefaultSource);
  }

  push(content: Uint8Array): void {
    // What is enqueued may be read later, and a byte stream takes its memory away.
    this.#controller!.enqueue(new Uint8Array(content));
  }
}

async function sendAll(outbox: Outbox, transfer: Transfer): Promise<void> {
  const writable = new WritableStream<Uint8Array>({
    write(chunk): Promise<void> | undefined {
      outbox.frame(CODE.message, 0, chunk);
      return outbox.full ? outbox.ready() : undefined;
    },
  }, { highWaterMark: 1 });
  const writer = writable.getWriter();
  const payloads = payloadsOf(transfer);
  for (let i = 0; i < transfer.count; i++) await writer.write(payloads.next());
}

async function receiveAll({ readable }: Incoming, transfer: Transfer): Promise<void> {
  const arrivals = new Arrivals(transfer);
  for await (const chunk of readable) if (arrivals.take(chunk)) return;
}
