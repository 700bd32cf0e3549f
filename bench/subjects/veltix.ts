/**
 * The library itself, used as a program uses it.
 *
 * @module
 */

import { bytes, Client, type ClientConfig, messageType, Server, type ServerConfig } from "../../mod.ts";
import type { TransportChoice } from "../../src/cli/bench/python_form/context.ts";
import type { Peer, Served, Subject } from "../subject.ts";

export type { TransportChoice } from "../../src/cli/bench/python_form/context.ts";

const MESSAGE = messageType(200, "message");
const ECHO = messageType(201, "echo", bytes, bytes);

/** Makes the subject; `protect` and `trust` are added to the options of the server and of the clients. */
export function veltix(
  transport: TransportChoice,
  protect: Pick<ServerConfig, "encryption" | "resume" | "tls"> = {},
  trust: Pick<ClientConfig, "encryption" | "reconnect" | "resume" | "tls"> = {},
): Subject {
  return subjectOf({ port: 0, transport, ...protect }, (port) => ({ port, transport, ...trust }));
}

/** Makes the subject over WebSockets. */
export function veltixWebSocket(): Subject {
  const listen = [{ port: 0, hostname: "127.0.0.1", webSocket: true }];
  return subjectOf({ listen }, (port) => ({ url: `ws://127.0.0.1:${port}/` }));
}

/** Makes a subject of the options of its server, and of those of its clients by the server's port. */
function subjectOf(serverConfig: ServerConfig, clientConfig: (port: number) => ClientConfig): Subject {
  return {
    async serve(handlers): Promise<Served> {
      const server = new Server(serverConfig);
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
      const client = new Client(clientConfig(port));
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
