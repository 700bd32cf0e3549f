/**
 * The rooms of a chat. A room is a tag that its people carry: there is nothing to create, and nothing to tidy up.
 *
 * @module
 */

import { type ConnectedClient, errorOf, implement, type Server } from "@veltix/core";
import { contract, type Room } from "./contract.ts";

const LOBBY = "lobby";

/** Lets the clients of a server chat. */
export function hostChat(server: Server): void {
  const { enter, join, rooms, say } = contract;

  implement(server, { enter, join, rooms, say }, {
    join({ data }, client): string[] {
      const name = data.trim();
      if (!/^[\p{L}\p{N} _-]{1,20}$/u.test(name)) {
        throw errorOf(join, "bad-name", "A name has up to 20 letters, digits and spaces");
      }
      if (server.clientsByTag("name", name).some((other) => other !== client)) {
        throw errorOf(join, "name-taken", `Somebody is called ${name} already`);
      }
      client.setTag("name", name);
      return moveTo(client, LOBBY);
    },
    enter: ({ data }, client) => moveTo(client, data.trim().slice(0, 20) || LOBBY),
    rooms: () => roomsOf(server),
    say: ({ data: line }, client) => tell(client, line),
  });
  // A client that has left is found by its tags no more, but still has them.
  server.on("disconnect", (client) => tell(client, "has left"));

  /** Tells a line of somebody to all others in the room. Without a name or a room, one is heard by nobody. */
  function tell(client: ConnectedClient, line: string): void {
    const [name, room] = [client.getTag("name"), client.getTag("room")];
    if (typeof name !== "string" || room === undefined) return;
    server.broadcast(contract.said, { name, line }, { to: { tag: "room", value: room }, except: [client] });
  }

  /** Brings somebody to a room. Returns who is there. */
  function moveTo(client: ConnectedClient, room: string): string[] {
    if (client.getTag("room") !== room) {
      tell(client, `goes to ${room}`);
      client.setTag("room", room);
      tell(client, "is here");
    }
    return server.clientsByTag("room", room).map((other) => String(other.getTag("name")));
  }
}

function roomsOf(server: Server): Room[] {
  const people = new Map<string, number>();
  for (const client of server.clientsByTag("room")) {
    const room = String(client.getTag("room"));
    people.set(room, (people.get(room) ?? 0) + 1);
  }
  return [...people].map(([name, people]) => ({ name, people }));
}
