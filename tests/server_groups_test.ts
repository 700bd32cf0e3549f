/** Tags, the index that finds clients by them, and broadcasts to them. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, type ConnectedClient, messageType, Server, type TagInfo, text } from "../mod.ts";
import { Events } from "../src/app/events.ts";
import { ConnectedClient as MadeClient } from "../src/server/connected_client.ts";
import { Groups } from "../src/server/groups.ts";
import { SERVER_EVENTS, type ServerEvents } from "../src/server/server_events.ts";
import type { Peer } from "../src/app/peer.ts";
import { deferred, memoryWorld, Raw, serve, SPOKEN, until, WORLDS } from "./session_support.ts";
import { Random } from "./wire_support.ts";

const NEWS = messageType(200, "news", text);

/** An index with clients that have no connection. */
function index(): { groups: Groups<undefined>; events: Events<ServerEvents>; join: () => ConnectedClient } {
  const events = new Events<ServerEvents>(SERVER_EVENTS, { failed: () => {}, lost: () => {}, watched: () => {} });
  const groups = new Groups<undefined>(events);
  let id = 0;
  const join = (): ConnectedClient => {
    const client = new MadeClient(
      ++id,
      undefined,
      { peer: null as never, address: { path: "" }, outgoing: undefined },
      groups,
    );
    groups.join(client, {} as Peer);
    return client;
  };
  return { groups, events, join };
}

const ids = (clients: Iterable<ConnectedClient>): number[] => [...clients].map(({ id }) => id);
const sorted = (numbers: number[]): number[] => numbers.sort((a, b) => a - b);

describe("the index of tags", () => {
  it("stays exact under random tagging, untagging and leaving, against looking at every client", () => {
    const names = ["a", "b", "c", "__proto__"];
    const object = {};
    const values = [undefined, null, 0, -0, 1, NaN, "", "x", true, object, {}, "__proto__"];
    for (let seed = 1; seed <= 40; seed++) {
      const random = new Random(seed);
      const { groups, join } = index();
      const all = Array.from({ length: 6 }, join);
      const gone = new Set<ConnectedClient>();
      const model = new Map<ConnectedClient, Map<string, unknown>>(all.map((client) => [client, new Map()]));
      for (let step = 0; step < 150; step++) {
        const client = random.pick(all);
        const tags = model.get(client)!;
        const [name, value] = [random.pick(names), random.pick(values)];
        switch (random.below(20)) {
          case 0:
            groups.leave(client);
            gone.add(client);
            break;
          case 1: {
            const added = join();
            all.push(added);
            model.set(added, new Map());
            break;
          }
          case 2:
            client.clearTags();
            tags.clear();
            break;
          case 3:
          case 4:
          case 5:
          case 6:
          case 7:
            assertEquals(client.removeTag(name), tags.delete(name));
            break;
          case 8:
          case 9:
          case 10:
          case 11:
            client.setTag(name, value);
            tags.set(name, value);
            break;
          default:
            assertEquals(client.addTag(name, value), !tags.has(name));
            if (!tags.has(name)) tags.set(name, value);
        }
        assertEquals([...client.tags], [...tags]);
        const sameValue = (other: unknown): boolean => value === other || Object.is(value, other);
        const naive = (...wanted: unknown[]): number[] =>
          all.filter((one) => !gone.has(one) && model.get(one)!.has(name))
            .filter((one) => wanted.length === 0 || wanted[0] === undefined || sameValue(model.get(one)!.get(name)))
            .map(({ id }) => id);
        assertEquals(sorted(ids(groups.byTag(name))), naive(), `seed ${seed}, step ${step}`);
        assertEquals(sorted(ids(groups.byTag(name, value))), naive(value), `seed ${seed}, step ${step}`);
      }
      for (const client of all) groups.leave(client);
      assertEquals(groups.size, 0, "nothing is left behind");
    }
  });

  it("costs what the matches cost, not what the clients do", () => {
    const { groups, join } = index();
    const clients = Array.from({ length: 50_000 }, join);
    for (const client of clients) client.addTag("user", client.id);
    let looked = 0;
    for (const client of clients) {
      for (const found of groups.byTag("user", client.id)) looked += found === client ? 1 : Infinity;
    }
    assertEquals(looked, clients.length);
  });

  it("keeps nothing of a client that left, whatever is done to its tags afterwards", () => {
    const { groups, events, join } = index();
    const told: TagInfo[] = [];
    const client = join();
    client.addTag("room", 1);
    events.on("tag", (_, info) => told.push(info));
    groups.leave(client);
    groups.leave(client);
    assertEquals([groups.size, [...client.tags]], [0, [["room", 1]]]);
    client.setTag("room", 2);
    assertEquals([groups.size, client.getTag("room")], [0, 2]);
    assert(client.addTag("late") && client.removeTag("room") && client.hasTag("late"));
    client.clearTags();
    assertEquals([groups.size, told, client.tags.size], [0, [], 0]);
    // Nor of values that nobody has any more, while the name lives on.
    join().addTag("user", 0);
    for (let value = 1; value <= 100; value++) {
      const passing = join();
      passing.addTag("user", value);
      passing.setTag("user", -value);
      if (value % 2 === 0) groups.leave(passing);
      else passing.removeTag("user");
    }
    assertEquals(groups.size, 2);
  });
});

describe("the tags of a client", () => {
  it("are names with at most one value each, and read in every way", () => {
    const client = index().join();
    assertEquals([client.tags.size, client.getTag("a"), client.hasTag("a"), client.removeTag("a")], [
      0,
      undefined,
      false,
      false,
    ]);
    assertEquals([client.addTag("a"), client.addTag("a", 5), client.addTag("b", 5)], [true, false, true]);
    assertEquals([client.getTag("a"), client.getTag("b"), [...client.tags]], [undefined, 5, [["a", undefined], [
      "b",
      5,
    ]]]);
    assertEquals([client.hasAllTags(["a", "b"]), client.hasAllTags(["a", "c"]), client.hasAllTags([])], [
      true,
      false,
      true,
    ]);
    assertEquals([client.hasAnyTags(["c", "b"]), client.hasAnyTags(["c"]), client.hasAnyTags([])], [
      true,
      false,
      false,
    ]);
    assert(client.hasAllTags(new Set(["a"])));
  });

  it("get another value in their place, and are found by that one alone", () => {
    const { groups, join } = index();
    const [first, second] = [join(), join()];
    first.setTag("score", 1);
    first.setTag("room");
    second.setTag("score", 1);
    first.setTag("score", 2);
    assertEquals([...first.tags], [["score", 2], ["room", undefined]]);
    assertEquals([ids(groups.byTag("score")), ids(groups.byTag("score", 1)), ids(groups.byTag("score", 2))], [
      [1, 2],
      [2],
      [1],
    ]);
    first.setTag("score");
    assertEquals([ids(groups.byTag("score")), ids(groups.byTag("score", 2)), first.hasTag("score")], [
      [1, 2],
      [],
      true,
    ]);
    for (const name of ["", 5, undefined]) assertThrows(() => first.setTag(name as string), TypeError, "A tag's name");
  });

  it("are handed out as a copy", () => {
    const client = index().join();
    client.addTag("a", 1);
    const { tags } = client;
    (tags as Map<string, unknown>).set("b", 2);
    client.addTag("c");
    assertEquals([[...tags.keys()], [...client.tags.keys()]], [["a", "b"], ["a", "c"]]);
  });

  it("have names that are non-empty strings, and nothing changes otherwise", () => {
    const client = index().join();
    const server = new Server();
    for (const name of ["", undefined, null, 5, ["a"], Symbol("a")] as never[]) {
      const calls = [
        () => client.addTag(name),
        () => client.hasTag(name),
        () => client.getTag(name),
        () => client.removeTag(name),
        () => client.hasAllTags([name]),
        () => client.hasAnyTags(["a", name]),
        () => server.clientsByTag(name),
      ];
      for (const call of calls) assertThrows(call, TypeError, "A tag's name must be a non-empty string, not ");
    }
    for (const call of [() => client.hasAllTags("ab"), () => client.hasAnyTags("ab")]) {
      assertThrows(call, TypeError, "names must be a list");
    }
    assertEquals([client.tags.size, server.clientsByTag("a")], [0, []]);
  });
});

for (const { name, make } of WORLDS) {
  describe(`tags on a server, ${name},`, () => {
    it("choose exactly who gets a broadcast, once each, whatever protocol they speak", async () => {
      const made = await make();
      for (const { release, server: protocol } of SPOKEN) {
        await using served = await serve(made, { protocol });
        const peers: Raw[] = [];
        for (let i = 0; i < 6; i++) {
          peers.push(await Raw.connect(made, served.address, release));
          await until(() => served.server.clients.length === i + 1);
        }
        const { server } = served;
        const { clients } = server;
        clients.forEach((client, i) => client.addTag(i % 2 === 0 ? "even" : "odd", i % 3));
        const send = (data: string, options: Parameters<typeof server.broadcast>[2]): number =>
          server.broadcast(NEWS, data, options).sent;
        assertEquals(send("even", { to: { tag: "even" } }), 3);
        assertEquals(send("odd 2", { to: { tag: "odd", value: 2 } }), 1);
        assertEquals(send("even but 0", { to: { tag: "even" }, except: [clients[0], clients[1]] }), 2);
        assertEquals(send("none", { to: { tag: "even", value: 7 } }), 0);
        assertEquals(send("nobody", { to: { tag: "nobody" } }), 0);
        assertEquals(send("list", { to: [clients[3], clients[3]] }), 1);
        assertEquals(send("all", {}), 6);
        const expected = [
          ["even", "all"],
          ["all"],
          ["even", "even but 0", "all"],
          ["list", "all"],
          ["even", "even but 0", "all"],
          ["odd 2", "all"],
        ];
        for (const [i, raw] of peers.entries()) {
          const heard: string[] = [];
          while (heard.at(-1) !== "all") {
            const frame = (await raw.frame())!;
            if (frame.code === 200) heard.push(new TextDecoder().decode(frame.content));
          }
          assertEquals(heard, expected[i]);
        }
        for (const raw of peers) await raw[Symbol.asyncDispose]();
      }
    });

    it("vanish from the index when the connection leaves the open state, and can be read to the end", async () => {
      const made = await make();
      const hold = deferred();
      const SLOW = messageType(201, "slow", text, text);
      await using served = await serve(made, {}, (server) => {
        server.on("connect", (client) => client.addTag("room", "lobby"));
        server.route(SLOW, () => hold.promise.then(() => ""));
      });
      const { server } = served;
      const client = new Client({ ...served.address, transport: made.transport });
      await client.connect();
      await until(() => server.clients.length === 1);
      const [info] = server.clients;
      const asked = client.request(SLOW, "").catch(() => {});
      await client.ping();
      assertEquals(server.clientsByTag("room", "lobby"), [info]);
      // A handler still runs: the connection is being closed and is not closed yet.
      const closing = info.close();
      assertEquals([info.connected, server.clientsByTag("room"), server.clients], [false, [], []]);
      assertEquals(server.broadcast(NEWS, "", { to: { tag: "room" } }).sent, 0);
      // A client without a room has no value to give, and its message is not for all rooms.
      assertThrows(
        () => server.broadcast(NEWS, "", { to: { tag: "room", value: undefined } }),
        TypeError,
        'Cannot broadcast to the tag "room" with the value undefined: leave "value" out',
      );
      assert(info.addTag("late") && info.hasTag("room"));
      assertEquals(server.clientsByTag("late"), []);
      const seen = new Promise((resolve) => server.on("disconnect", (gone) => resolve([...gone.tags])));
      hold.resolve();
      await asked;
      await closing;
      assertEquals(await seen, [["room", "lobby"], ["late", undefined]]);
      await client.close();
      await client.connect();
      await until(() => server.clients.length === 1);
      assertEquals(ids(server.clientsByTag("room")), [2]);
      await client.close();
    });
  });
}

describe("the tag event", () => {
  it("tells of each change of a connected client, after it, and of nothing that changes nothing", async () => {
    const world = memoryWorld();
    const told: unknown[] = [];
    await using served = await serve(world, {}, (server) => {
      server.on("tag", (client, info) => told.push([client.id, info, server.clientsByTag("a").length]));
    });
    await using _raw = await Raw.connect(world, served.address, "native");
    await until(() => served.server.clients.length === 1);
    const [client] = served.server.clients;
    client.clearTags();
    client.addTag("a", 1);
    client.addTag("a", 2);
    client.setTag("a", 3);
    client.setTag("a", 3);
    client.setTag("a", 1);
    client.removeTag("b");
    client.addTag("b");
    client.removeTag("a");
    client.clearTags();
    client.clearTags();
    client.addTag("c");
    client.removeTag("c");
    client.clearTags();
    assertEquals(told, [
      [1, { action: "added", name: "a", value: 1 }, 1],
      [1, { action: "updated", name: "a", value: 3 }, 1],
      [1, { action: "updated", name: "a", value: 3 }, 1],
      [1, { action: "updated", name: "a", value: 1 }, 1],
      [1, { action: "added", name: "b", value: undefined }, 1],
      [1, { action: "removed", name: "a", value: 1 }, 0],
      [1, { action: "cleared" }, 0],
      [1, { action: "added", name: "c", value: undefined }, 0],
      [1, { action: "removed", name: "c", value: undefined }, 0],
    ]);
  });

  it("may change tags itself, and a broadcast under way reaches who was there when it began", async () => {
    const world = memoryWorld();
    await using served = await serve(world, { highWaterMark: 0 }, (server) => {
      server.on("tag", (client, { action }) => {
        if (action === "removed") client.addTag("room");
      });
      // Fires while the broadcast goes round.
      server.on("pressure", (_, client) => void client.removeTag("room"));
    });
    const raws = [1, 2, 3].map(() => Raw.connect(world, served.address, "native"));
    const peers = await Promise.all(raws);
    await until(() => served.server.clients.length === 3);
    for (const client of served.server.clients) client.addTag("room");
    assertEquals(served.server.broadcast(NEWS, "x", { to: { tag: "room" } }).sent, 3);
    assertEquals(served.server.clientsByTag("room").length, 3);
    for (const raw of peers) await raw[Symbol.asyncDispose]();
  });
});
