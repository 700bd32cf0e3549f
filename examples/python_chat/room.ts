/**
 * The chat's server. It has the contract of `../chat.ts`, which may join, and one listener for each protocol.
 *
 * @module
 */

import { type ConnectedClient, json, messageTypes, Server, text } from "@veltix/core";

/** What goes over the wire; `chat.py` says the same in Python. */
export const { join, say, said } = messageTypes({
  join: [text, json<string[]>()], // a name; who is there
  say: text,
  said: json<{ name: string; line: string }>(),
});

/** A port, and the Python release that is served there. */
export interface Door {
  readonly port: number;
  readonly protocol: string;
}

/** A server that tells everyone what anyone says. */
export class Room {
  /** The server. */
  readonly server: Server;
  readonly #names = new Map<ConnectedClient, string>();

  /** @param doors Where to listen; natives come in wherever the release is 2.0 or later. */
  constructor(doors: readonly Door[]) {
    const server = this.server = new Server({ listen: doors.map((door) => ({ hostname: "127.0.0.1", ...door })) });
    server.route(join, ({ data: name }, client) => {
      this.#names.set(client, name);
      server.broadcast(said, { name, line: "is here" }, { except: [client] });
      return [...this.#names.values()];
    });
    server.route(say, ({ data: line }, client) => {
      server.broadcast(said, { name: this.#nameOf(client), line }, { except: [client] });
    });
    server.on("disconnect", (client) => {
      server.broadcast(said, { name: this.#nameOf(client), line: "has left" });
      this.#names.delete(client);
    });
  }

  /** What is spoken with somebody: `"native"`, or a Python release. */
  protocolOf(name: string): string | undefined {
    return [...this.#names].find(([, known]) => known === name)?.[0].protocol;
  }

  #nameOf(client: ConnectedClient): string {
    return this.#names.get(client) ?? "Somebody";
  }
}
