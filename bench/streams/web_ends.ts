/**
 * The ends of the floor as Web Streams: a `WritableStream` to send from, and a `ReadableStream` to receive into, which needs
 * memory of its own for each piece. The difference to the floor without them is what Web Streams cost.
 *
 * @module
 */

import { CODE } from "../floor/frame.ts";
import type { FloorEnds, Reception } from "./floor.ts";
import { Arrivals, payloadsOf, type Transfer } from "./subject.ts";

/** See the module. Nothing but the socket holds the sender back. */
export const WEB_STREAMS: FloorEnds = {
  async send(outbox, transfer): Promise<void> {
    const writable = new WritableStream<Uint8Array>({
      write(chunk): Promise<void> | undefined {
        outbox.frame(CODE.message, 0, chunk);
        return outbox.full ? outbox.ready() : undefined;
      },
    }, { highWaterMark: 1 });
    const writer = writable.getWriter();
    const payloads = payloadsOf(transfer);
    for (let i = 0; i < transfer.count; i++) await writer.write(payloads.next());
  },
  receive(transfer): Reception {
    let controller: ReadableByteStreamController | ReadableStreamDefaultController;
    const readable = new ReadableStream<Uint8Array>({
      // Items are not cut, so their stream is none of bytes.
      type: transfer.kind === "bytes" ? "bytes" : undefined,
      start: (made: ReadableByteStreamController) => void (controller = made),
    } as UnderlyingDefaultSource);
    return {
      // What is enqueued may be read later, and a byte stream takes its memory away.
      push: (content) => controller.enqueue(new Uint8Array(content)),
      all: readAll(readable, transfer),
    };
  },
};

async function readAll(readable: ReadableStream<Uint8Array>, transfer: Transfer): Promise<void> {
  const arrivals = new Arrivals(transfer);
  for await (const chunk of readable) if (arrivals.take(chunk)) return;
}
