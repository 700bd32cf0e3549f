/** What a client tells of attempts that fail, of the server that it is with, and of connections that are over. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, ConnectionError, messageType, text } from "../mod.ts";
import { HOST, memoryWorld, Recorder, serve } from "./session_support.ts";

const UPPER = messageType(200, "upper", text, text);

describe("a client that cannot connect", () => {
  it("tells of a first attempt that failed, with the error that connect() rejects with", async () => {
    const { transport } = memoryWorld();
    await using client = new Client({ hostname: HOST, port: 9, transport });
    const events = new Recorder(client, ["failed", "disconnect"]);
    const error = await assertRejects(() => client.connect(), ConnectionError);
    assertEquals(events.all, [["failed", { attempt: 0, reason: "network-error", error }]]);
  });

  it("tells once of an attempt, whatever the number of servers, and before the next one", async () => {
    const { clock, transport } = memoryWorld();
    const servers = [9, 10].map((port) => ({ hostname: HOST, port }));
    await using client = new Client({ servers, transport, reconnect: { attempts: 1 } });
    const events = new Recorder(client, ["connecting", "failed", "reconnecting"]);
    client.on("reconnecting", ({ delay }) => void clock.advance(delay));
    await assertRejects(() => client.connect(), ConnectionError);
    assertEquals(
      events.all.map(([name, info]) => [name, (info as { attempt: number }).attempt]),
      [["connecting", 0], ["failed", 0], ["reconnecting", 1], ["connecting", 1], ["failed", 1]],
    );
  });

  it("does not tell of a connection that ended as if it had failed", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    await using client = new Client({ ...served.address, transport: world.transport });
    const events = new Recorder(client, ["failed", "disconnect"]);
    await client.connect();
    const [info] = await served.events.next("connect");
    void info.close("manual", { drain: 0 });
    await events.next("disconnect");
    assertEquals(events.of("failed"), []);
  });
});

describe("a client with several servers", () => {
  it("names the one that it is connected to", async () => {
    const world = memoryWorld();
    await using served = await serve(world);
    const [bad, good] = [{ hostname: HOST, port: 9 }, served.address];
    await using client = new Client({ servers: [bad, good], transport: world.transport });
    assertEquals(client.server, bad);
    await client.connect();
    assertEquals(client.server, good);
  });
});

describe("the event disconnect", () => {
  it("has the counters of the connection that is over, and none of an attempt that failed", async () => {
    const world = memoryWorld();
    const served = await serve(world);
    served.server.route(UPPER, ({ data }) => data.toUpperCase());
    const { transport } = world;
    await using client = new Client({ ...served.address, transport, reconnect: { attempts: 1 } });
    const events = new Recorder(client, ["disconnect", "reconnecting"]);
    await client.connect();
    await client.request(UPPER, "x");
    const { framesReceived, framesSent } = client.stats();
    await served[Symbol.asyncDispose]();
    const [{ stats }] = await events.next("disconnect");
    assert(stats.framesSent >= framesSent! && stats.framesReceived >= framesReceived!);
    assertEquals(client.stats().framesSent, undefined);
    const [{ delay }] = await events.next("reconnecting");
    await world.clock.advance(delay);
    assertEquals((await events.next("disconnect"))[0].stats, undefined);
  });
});
