/**
 * The server process. It passes each line on to all other clients, counts words, and counts bursts.
 *
 * Nothing may be lost on the way, however slow a client is: the routes of the streams are ordered, so a sender's next line
 * waits until every receiver has room again, and the sender feels that as back-pressure on its own connection.
 *
 * @module
 */

import { type ConnectedClient, type MessageType, Server } from "@veltix/core";
import process from "node:process";
import { fail, followCommands, tell } from "./channel.ts";
import { burst, countWords, KEPT, line, passEnd, tally, words } from "./contract.ts";
import { Serials } from "./serials.ts";

/** Waiting for every line would cost more than the line: below so many bytes nobody has to. */
const MUCH = 1024 * 1024;

const server = new Server({ hostname: "127.0.0.1", port: 0, resume: { buffer: KEPT } });
const bursts = new WeakMap<ConnectedClient, Serials>();

server.on("error", fail);
server.on("connect", (client) => bursts.set(client, new Serials()));
server.on("disconnect", (_client, { reason }) => {
  if (reason === "slow-consumer") fail("A client took nothing for too long, and was cut off");
});

server.route(line, ({ data }, sender) => relay(line, data, sender), { ordered: true });
server.route(passEnd, ({ data }, sender) => relay(passEnd, data, sender), { ordered: true });
server.route(words, ({ data }) => countWords(data));
server.route(burst, ({ data: serial }, client) => bursts.get(client)!.take(serial));
server.route(tally, ({ data: { sent } }, client) => {
  const serials = bursts.get(client)!;
  serials.upTo(sent);
  return { received: serials.received, lost: serials.lost, disordered: serials.disordered };
});

/**
 * Sends to all clients but the sender. A promise where too much waits, or where a client's cable is cut: it settles when
 * they can take more.
 */
function relay<Data>(type: MessageType<Data>, data: Data, sender: ConnectedClient): Promise<unknown> | undefined {
  const { dropped } = server.broadcast(type, data, { except: [sender] });
  if (dropped > 0) throw new Error(`A message "${type.name}" of client ${sender.id} did not reach ${dropped} others`);
  const { bufferedBytes, suspended } = server.stats();
  if (bufferedBytes < MUCH && suspended === 0) return undefined;
  return Promise.all(server.clients.map((client) => client === sender || client.ready()));
}

followCommands(async () => {
  await server.close();
  process.exit();
});
await server.start();
const [address] = server.addresses;
if ("port" in address) tell({ type: "listening", port: address.port });
