/**
 * A client of a page, over a stream of WebTransport.
 *
 * @module
 */
import { Client, fromStreams, json, messageType, type Transport } from "@veltix/core";

const ADD = messageType(200, "add", json<{ a: number; b: number }>(), json<number>());

const transport: Transport = {
  name: "webtransport",
  connect: async () => {
    const session = new WebTransport("https://localhost:4433");
    return fromStreams(await session.createBidirectionalStream());
  },
  listen: () => Promise.reject(new Error("a page does not listen")),
};

const client = new Client({ transport });
await client.connect();
console.log(`1 + 2 = ${await client.request(ADD, { a: 1, b: 2 })}`);
