/** Peers by hand: what they expect, and what they say when it does not come. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, messageType, text } from "../mod.ts";
import {
  AssertionError,
  connect,
  FakePeer,
  FakeServer,
  memoryWorld,
  serve,
  socketWorld,
  type World,
} from "../src/testing/mod.ts";
import { SPOKEN } from "./session_support.ts";

const CHAT = messageType(200, "chat", text);
const SHOUT = messageType(201, "shout", text, text);

const WORLDS: readonly [name: string, make: () => Promise<World>][] = [
  ["in memory", () => Promise.resolve(memoryWorld())],
  ["over sockets", () => socketWorld()],
];

/** The message of the AssertionError that something rejects with. */
async function complaint(wrong: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => wrong, AssertionError)).message;
}

describe("a fake peer", () => {
  for (const [name, make] of WORLDS) {
    for (const { release, server: spoken } of SPOKEN) {
      it(`is a client of ${release}, ${name}`, async () => {
        const world = await make();
        await using served = await serve({ world, protocol: spoken }, (server) => {
          server.route(SHOUT, ({ data }) => data.toUpperCase());
        });
        await using peer = await FakePeer.connect(world, served.address, release);
        const flags = release === "native" ? 1 : 0;
        const requestId = peer.protocol.ids === "uuid" ? "00112233-4455-4677-8899-aabbccddeeff" : 5;
        await peer.send({ code: 201, flags, requestId, content: "hi" });
        await peer.expect({ code: 201, requestId, content: "HI", flags: 2 * flags });
      });

      it(`is a server of ${release}, ${name}`, async () => {
        const world = await make();
        await using server = await FakeServer.listen(world);
        await using client = new Client({ ...server.address, transport: world.transport });
        const [peer] = await Promise.all([server.welcome(release), client.connect()]);
        await using _peer = peer;
        client.send(CHAT, "hello");
        const { content } = await peer.expect({ code: 200, content: "hello" });
        assertEquals(new TextDecoder().decode(content), "hello");
      });
    }

    it(`says what came instead, ${name}`, async () => {
      const world = await make();
      await using served = await serve({ world });
      await using peer = await FakePeer.connect(world, served.address);
      const [client] = await served.events.next("connect");
      client.send(CHAT, "one");
      assertEquals(
        await complaint(peer.expect({ code: 201, content: { a: 1 }, flags: 1, requestId: 3 })),
        'Expected a frame with code 201, flags 0x1, id 3, content {a: 1}, but got message 200 "one"',
      );
      client.request(SHOUT, "two").catch(() => {});
      assertEquals(
        await complaint(peer.expect({ content: Uint8Array.of(0, 1) })),
        'Expected a frame with content 0x0001, but got request 201 #1 "two" (flags 0x1)',
      );
      void client.close("manual", { drain: 0 });
      await peer.expect({ code: 4 }).catch(() => {});
      assertStringIncludes(await complaint(peer.expect({})), "Expected a frame, but the");
    });
  }

  it("looks at each part of a frame", async () => {
    await using served = await serve({}, (server) => server.route(SHOUT, ({ data }) => data));
    await using peer = await FakePeer.connect(served.world, served.address);
    for (const wrong of [{ code: 200 }, { flags: 1 }, { requestId: 10 }, { content: "b" }]) {
      await peer.send({ code: 201, flags: 1, requestId: 9, content: "a" });
      const right = { code: 201, flags: 2, requestId: 9, content: "a" };
      assertStringIncludes(
        await complaint(peer.expect({ ...right, ...wrong })),
        'but got reply 201 #9 "a" (flags 0x2)',
      );
      await peer.send({ code: 201, flags: 1, requestId: 9, content: "a" });
      await peer.expect(right);
    }
  });

  it("says at once that nothing came, where time stands still", async () => {
    await using served = await serve();
    await using peer = await FakePeer.connect(served.world, served.address);
    assertEquals(await complaint(peer.expect({ code: 200 })), "Expected a frame with code 200, but nothing came");
    assertEquals(served.world.clock.now(), 0);
  });

  it("moves the time on as far as it is told, and no further than needed", async () => {
    await using served = await serve({ heartbeat: { idle: 3_000, timeout: 1_000 } });
    await using peer = await FakePeer.connect(served.world, served.address);
    await complaint(peer.expect({ code: 0 }, { within: 2_000 }));
    assertEquals(served.world.clock.now(), 2_000);
    const ping = await peer.expect({ code: 0 }, { within: 60_000 });
    assert(served.world.clock.now() <= 4_000, String(served.world.clock.now()));
    await peer.send({ code: 1, flags: 2, requestId: ping.requestId as number, content: ping.content });
    await peer.silence(2_000);
  });

  it("hears a silence, and what breaks it, which is then gone", async () => {
    await using served = await serve({}, (server) => server.route(SHOUT, ({ data }) => data));
    await using peer = await FakePeer.connect(served.world, served.address);
    const [client] = await served.events.next("connect");
    await peer.silence(1_000);
    served.world.clock.setTimeout(() => client.send(CHAT, "psst"), 500);
    assertEquals(await complaint(peer.silence(1_000)), 'Expected nothing for 1000 ms, but got message 200 "psst"');
    assertEquals(served.world.clock.now(), 2_000);
    await peer.silence(1_000);
    await peer.send({ code: 201, flags: 1, requestId: 1, content: "after" });
    await peer.expect({ code: 201, content: "after" });
  });

  it("skips frames of credit unless they are expected", async () => {
    await using served = await serve({}, (server) => server.route(CHAT, () => {}));
    await using peer = await FakePeer.connect(served.world, served.address, "native", {
      features: { credit: { window: 4_000, least: 0 } },
    });
    const [client] = await served.events.next("connect");
    await peer.send({ code: 5, content: Uint8Array.of(0, 0, 255, 255) });
    for (let i = 0; i < 3; i++) await peer.send({ code: 200, content: "x".repeat(1_000_000) });
    client.send(CHAT, "hi");
    await peer.expect({ code: 200, content: "hi" });
    for (let i = 0; i < 3; i++) await peer.send({ code: 200, content: "x".repeat(1_000_000) });
    await peer.expect({ code: 5 });
  });

  it("says that the connection broke", async () => {
    await using served = await serve();
    await using peer = await FakePeer.connect(served.world, served.address);
    served.world.lines[0].reset();
    assertStringIncludes(
      await complaint(peer.expect({})),
      "Expected a frame, but the connection broke: ConnectionError",
    );
  });

  it("sends native frames that are wrong, and bytes", async () => {
    await using served = await serve();
    await using peer = await FakePeer.connect(served.world, served.address);
    await peer.send({ code: 200, flags: 7, requestId: 1 });
    await served.world.clock.advance(10_000);
    assertEquals(served.events.take("disconnect")[1].reason, "protocol-error");
  });

  it("closes, and resets", async () => {
    await using served = await serve();
    const closing = await FakePeer.connect(served.world, served.address);
    await served.events.next("connect");
    await closing.close();
    assertEquals((await served.events.next("disconnect"))[1].reason, "peer-closed");
    const resetting = await FakePeer.connect(served.world, served.address);
    served.world.lines[1].server.hold();
    const [client] = await served.events.next("connect");
    client.send(CHAT, "unread");
    await served.world.clock.settle();
    resetting.reset();
    await served.world.clock.settle();
    assertEquals(served.events.of("disconnect").length, 2);
    assertEquals(await resetting.end(), "closed");
  });

  it("tells when it is not let in", async () => {
    await using served = await serve({ maxConnections: 1 });
    await using _first = await connect(served);
    const peer = new FakePeer(await served.world.transport.connect(served.address), "native", served.world);
    await using _peer = peer;
    const greeting = await peer.message() as { code?: string };
    assertEquals(greeting.code, "too-many-connections");
    assertStringIncludes(await complaint(peer.bytes(1)), "Expected 1 bytes more, but the peer has closed its side");
  });
});
