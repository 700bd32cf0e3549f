/**
 * The library itself, used as a program uses it.
 *
 * @module
 */

import { bytes, Client, type ClientConfig, messageType, Server, type ServerConfig } from "../../mod.ts";
import type { Peer, Served, Subject } from "../subject.ts";

const MESSAGE = messageType(200, "message");
const ECHO = messageType(201, "echo", bytes, bytes);

/** The runtimes' sockets that the library can be told to take. */
export type TransportChoice = "auto" | "deno" | "bun" | "node";

/** Makes the subject; `protect` and `trust` are added to the options of the server and of the clients. */
export function veltix(
  transport: TransportChoice,
  protect: Pick<ServerConfig, "encryption" | "resume" | "tls"> = {},
  trust: Pick<ClientConfig, "encryption" | "reconnect" | "resume" | "tls"> = {},
): Subject {
  return {
    async serve(handlers): Promise<Served> {
      const server = new Server({ port: 0, transport, ...protect });
      server.on("connect", () => handlers.connected());
      server.route(ECHO, (message) => message.content);
      server.route(MESSAGE, (message, client) => {
        if (handlers.message(message.content)) client.send(MESSAGE, message.content);
      });
      await server.start();
      const [address] = server.addresses;
      if (!("port" in address)) throw new Error("Cannot serve: the server has no port");
      return { port: address.port, broadcast: (content) => void server.broadcast(MESSAGE, content) };
    },
    async connect(port, receive): Promise<Peer> {
      const client = new Client({ port, transport, ...trust });
      client.route(MESSAGE, (message) => receive(message.content));
      await client.connect();
      return {
        send: (content) => client.send(MESSAGE, content),
        ready: () => client.ready(),
        request: (content, done) => void client.request(ECHO, content).then(done),
        close: () => client.close(),
      };
    },
  };
}
