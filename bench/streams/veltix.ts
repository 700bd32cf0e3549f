/**
 * The library's streams, used as a program uses them: a writer up, a generator down, and `for await` on both ends.
 *
 * @module
 */

import { bytes, Client, type Codec, json, messageType, Server, streamType } from "../../mod.ts";
import type { TransportChoice } from "../subjects/veltix.ts";
import { Arrivals, payloadsOf, type StreamPeer, type StreamSubject, type Transfer } from "./subject.ts";

/** The codec of items that are bytes: a direction with the codec `bytes` has no items. */
const item: Codec<Uint8Array> = { ...bytes };

const BYTES = streamType(300, "bytes", { head: json<Transfer>() });
const ITEMS = streamType(301, "items", { head: json<Transfer>(), up: item, down: item });
const MESSAGE = messageType(302, "message");
const BURST = messageType(303, "burst", json<Transfer>(), bytes);

/** Makes the subject. */
export function veltixStreams(transport: TransportChoice): StreamSubject {
  return {
    items: true,
    async serve(): Promise<number> {
      const server = new Server({ port: 0, transport });
      for (const type of [BYTES, ITEMS]) {
        server.stream(type, ({ head, readable }) => head.direction === "down" ? send(head) : receive(head, readable));
      }
      let arrivals: Arrivals;
      let arrived = (): void => {};
      server.route(MESSAGE, (message) => {
        if (arrivals.take(message.content)) arrived();
      });
      server.route(BURST, async ({ data }, client) => {
        if (data.direction === "down") {
          const payloads = payloadsOf(data);
          for (let i = 0; i < data.count; i++) if (!client.send(MESSAGE, payloads.next())) await client.ready();
        } else {
          arrivals = new Arrivals(data);
          await new Promise<void>((resolve) => arrived = resolve);
        }
        return new Uint8Array(0);
      });
      await server.start();
      const [address] = server.addresses;
      if (!("port" in address)) throw new Error("Cannot serve: the server has no port");
      return address.port;
    },
    async connect(port): Promise<StreamPeer> {
      const client = new Client({ port, transport });
      let arrivals: Arrivals;
      let arrived = (): void => {};
      client.route(MESSAGE, (message) => {
        if (arrivals.take(message.content)) arrived();
      });
      await client.connect();
      return {
        async run(transfer): Promise<void> {
          if (transfer.kind === "messages") {
            arrivals = new Arrivals(transfer);
            const all = new Promise<void>((resolve) => arrived = resolve);
            const done = client.request(BURST, transfer);
            const payloads = payloadsOf(transfer);
            const { count } = transfer;
            if (transfer.direction === "up") {
              for (let i = 0; i < count; i++) if (!client.send(MESSAGE, payloads.next())) await client.ready();
            }
            await done;
            // The answer may overtake messages.
            if (transfer.direction === "down") await all;
            return;
          }
          const stream = client.open(transfer.kind === "bytes" ? BYTES : ITEMS, transfer);
          if (transfer.direction === "down") await receive(transfer, stream.readable);
          else {
            const writer = stream.writable.getWriter();
            const payloads = payloadsOf(transfer);
            for (let i = 0; i < transfer.count; i++) await writer.write(payloads.next());
            await writer.close();
          }
          await stream.result;
        },
        close: () => client.close(),
      };
    },
  };
}

async function* send(transfer: Transfer): AsyncGenerator<Uint8Array, void> {
  const payloads = payloadsOf(transfer);
  for (let i = 0; i < transfer.count; i++) yield payloads.next();
}

async function receive(transfer: Transfer, readable: ReadableStream<Uint8Array>): Promise<void> {
  const arrivals = new Arrivals(transfer);
  for await (const chunk of readable) arrivals.take(chunk);
  arrivals.confirm();
}
