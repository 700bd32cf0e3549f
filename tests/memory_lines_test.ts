/** Connections of a memory network that are disturbed while they are in use. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { connectionPair, FakeClock, type MemoryLine, memoryTransport } from "../src/adapters/memory.ts";
import { Client, ConnectionError, Server } from "../mod.ts";
import type { Connection } from "../src/transport.ts";

/** A pair of connections, its line, and what the server has read so far. */
function pair(delay?: () => number): {
  client: Connection;
  server: Connection;
  line: MemoryLine;
  clock: FakeClock;
  came: (number | "fin" | string)[];
} {
  const clock = new FakeClock();
  let line: MemoryLine;
  const [client, server] = connectionPair({
    clock,
    opened: (opened) => line = opened,
    faults: ({ side }) => side === "client" && delay !== undefined ? { delay } : undefined,
  });
  const came: (number | string)[] = [];
  void (async () => {
    try {
      for (let chunk = await server.read(); chunk !== null; chunk = await server.read()) came.push(...chunk);
      came.push("fin");
    } catch (error) {
      came.push((error as ConnectionError).code);
    }
  })();
  return { client, server, line: line!, clock, came };
}

describe("a line of a memory network", () => {
  it("delivers nothing while it is held, and all in order after that", async () => {
    const { client, clock, came, line } = pair();
    line.client.hold();
    await client.write(Uint8Array.of(1));
    await client.write(Uint8Array.of(2));
    await clock.advance(10_000);
    assertEquals(came, []);
    line.client.release();
    await client.closeWrite();
    await clock.settle();
    assertEquals(came, [1, 2, "fin"]);
  });

  it("holds one direction alone", async () => {
    const { client, clock, line, server } = pair();
    line.client.hold();
    await server.write(Uint8Array.of(7));
    const read = client.read();
    await clock.settle();
    assertEquals(await read, Uint8Array.of(7));
  });

  it("loses what is under way and what follows when it is dropped, FIN included", async () => {
    const { client, clock, came, line } = pair(() => 100);
    await client.write(Uint8Array.of(1));
    await clock.advance(100);
    await client.write(Uint8Array.of(2));
    line.client.drop();
    await client.write(Uint8Array.of(3));
    await client.closeWrite();
    await clock.advance(10_000);
    assertEquals(came, [1]);
  });

  it("lets a writer go on that waited when it is dropped", async () => {
    const clock = new FakeClock();
    let line: MemoryLine;
    const [client] = connectionPair({ clock, pipeSize: 4, opened: (opened) => line = opened });
    line!.client.hold();
    let written = false;
    const writing = client.write(new Uint8Array(100)).then(() => written = true);
    await clock.settle();
    assertEquals(written, false);
    line!.client.drop();
    await writing;
    assertEquals(written, true);
  });

  it("closes after what is under way, and loses what follows", async () => {
    const { client, clock, came, line } = pair();
    await client.write(Uint8Array.of(1));
    line.client.close();
    await client.write(Uint8Array.of(2));
    await clock.settle();
    assertEquals(came, [1, "fin"]);
  });

  it("is reset for both sides at once", async () => {
    const { client, clock, came, line } = pair();
    line.reset();
    await clock.settle();
    assertEquals(came, ["reset"]);
    await assertRejects(() => client.read(), ConnectionError, "reset");
  });

  it("asks for the delay of each delivery, and no delivery overtakes another", async () => {
    const delays = [100, 10, 50];
    const { client, clock, came } = pair(() => delays.shift()!);
    for (const byte of [1, 2, 3]) await client.write(Uint8Array.of(byte));
    await clock.advance(99);
    assertEquals(came, []);
    await clock.advance(1);
    assertEquals(came, [1, 2, 3]);
    assertEquals(delays, []);
  });

  it("knows its number and the address that was connected to", async () => {
    const lines: MemoryLine[] = [];
    const transport = memoryTransport({ opened: (line) => lines.push(line) });
    await using listener = await transport.listen({ hostname: "127.0.0.1", port: 7_000 });
    for (const _ of [0, 1]) (await transport.connect(listener.address)).abort();
    assertEquals(lines.map(({ index, to }) => [index, to]), [0, 1].map((n) => [n, listener.address]));
  });
});

describe("FakeClock.nextDue", () => {
  it("is the time of the next timer, and undefined without one", () => {
    const clock = new FakeClock(5);
    assertEquals(clock.nextDue, undefined);
    clock.setTimeout(() => {}, 100);
    const sooner = clock.setTimeout(() => {}, 50);
    assertEquals(clock.nextDue, 55);
    clock.clearTimeout(sooner);
    assertEquals(clock.nextDue, 105);
  });
});

describe("the random numbers of an event loop", () => {
  it("are those that a client draws its waits from", async () => {
    const clock = new FakeClock();
    const memory = memoryTransport({ clock });
    const transport = { ...memory, eventLoop: { ...memory.eventLoop!, random: () => 0.25 } };
    const client = new Client({
      hostname: "127.0.0.1",
      port: 1,
      transport,
      reconnect: { delay: 1_000 },
      logger: QUIET,
    });
    const delays: number[] = [];
    client.on("reconnecting", ({ delay }) => void delays.push(delay));
    client.connect().catch(() => {});
    await clock.advance(1_000);
    await client.close();
    assertEquals(delays.slice(0, 3), [250, 500, 1_000]);
  });

  it("must be a function", () => {
    const memory = memoryTransport({ clock: new FakeClock() });
    const transport = { ...memory, eventLoop: { ...memory.eventLoop!, random: 0.5 as never } };
    assertThrows(() => new Server({ transport }), TypeError, "transport.eventLoop.random must be a function");
  });
});

const QUIET = { warn: () => {}, error: () => {} };
