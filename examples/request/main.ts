/**
 * A typed contract whose payloads are checked by a validator: what does not fit never reaches the handler, and the sender
 * of the request gets the error. Any library that speaks Standard Schema will do; this is Valibot.
 *
 *     deno run -A examples/request/main.ts     bun run examples/request/main.ts     node examples/request/main.ts
 *
 * @module
 */

import { Client, json, messageTypes, RemoteError, Server } from "@veltix/core";
import * as v from "valibot";

const Order = v.object({
  item: v.picklist(["coffee", "tea", "cake"]),
  count: v.pipe(v.number(), v.integer(), v.minValue(1)),
});
const Bill = v.object({ total: v.number(), currency: v.literal("EUR") });

const { order } = messageTypes({ order: [json(Order), json(Bill)] });
const prices = { coffee: 2.5, tea: 2, cake: 3.8 };

await using server = new Server({ hostname: "127.0.0.1", port: 0 });
server.on("error", () => {}); // The client shows what is wrong with its orders.
server.route(order, ({ data: { item, count } }) => ({ total: prices[item] * count, currency: "EUR" as const }));
await server.start();

await using client = new Client({ ...server.addresses[0] });
await client.connect();

const bill = await client.request(order, { item: "cake", count: 2 });
console.log(`2 cakes: ${bill.total.toFixed(2)} ${bill.currency}`);

try {
  await client.request(order, { item: "tea", count: -1 });
} catch (error) {
  if (!(error instanceof RemoteError)) throw error;
  console.log(`-1 teas: ${error.message}`);
}
