/**
 * The library itself, used as a program uses it.
 *
 * @module
 */

import {
  bytes,
  Client,
  type ClientConfig,
  type ConnectedClient,
  type Message,
  messageType,
  Server,
  type ServerConfig,
} from "../../mod.ts";
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

/** Makes the subject whose handlers of one-way messages get arrays. */
export function veltixBatched(transport: TransportChoice): Subject {
  return subjectOf({ port: 0, transport }, (port) => ({ port, transport }), true);
}

/** Makes the subject over WebSockets. */
export function veltixWebSocket(): Subject {
  const listen = [{ port: 0, hostname: "127.0.0.1", webSocket: true }];
  return subjectOf({ listen }, (port) => ({ url: `ws://127.0.0.1:${port}/` }));
}

/** Makes a subject of the options of its server, and of those of its clients by the server's port. */
function subjectOf(
  serverConfig: ServerConfig,
  clientConfig: (port: number) => ClientConfig,
  batch = false,
): Subject {
  return {
    async serve(handlers): Promise<Served> {
      const server = new Server(serverConfig);
      server.on("connect", () => handlers.connected());
      server.route(ECHO, (message) => message.content);
      const take = ({ content }: Message, client: ConnectedClient): void => {
        if (handlers.message(content)) client.send(MESSAGE, content);
      };
      if (batch) {
        server.route(MESSAGE, (messages, client) => {
          for (const message of messages) take(message, client);
        }, { batch });
      } else server.route(MESSAGE, take);
      await server.start();
      const [address] = server.addresses;
      if (!("port" in address)) throw new Error("Cannot serve: the server has no port");
      return { port: address.port, broadcast: (content) => void server.broadcast(MESSAGE, content) };
    },
    async connect(port, receive): Promise<Peer> {
      const client = new Client(clientConfig(port));
      const take = ({ content }: Message): void => receive(content);
      if (batch) client.route(MESSAGE, (messages) => messages.forEach(take), { batch });
      else client.route(MESSAGE, take);
      await client.connect();
      return {
        send: (content) => client.send(MESSAGE, content),
        give: (content) => client.send(MESSAGE, content, { transfer: true }),
        ready: () => client.ready(),
        request: (content, done) => void client.request(ECHO, content).then(done),
        close: () => client.close(),
      };
    },
  };
}
