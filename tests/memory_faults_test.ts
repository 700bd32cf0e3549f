import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { connectionPair, FakeClock, type Faults, memoryTransport } from "../src/adapters/memory.ts";
import { ConnectionError } from "../src/errors.ts";
import type { Connection } from "../src/transport.ts";

const COUNTING = Uint8Array.from({ length: 20 }, (_, index) => index);

describe("faults of a memory connection", () => {
  it("split by a number cuts every so many bytes, across writes", async () => {
    const [client, server] = faulty({ split: 3 });
    await client.write(COUNTING.subarray(0, 4));
    await client.write(COUNTING.subarray(4, 8));
    await client.closeWrite();
    assertEquals(sizes(await chunks(server)), [3, 1, 2, 2]);
  });

  it("split by offsets cuts there", async () => {
    const [client, server] = faulty({ split: [1, 5, 6] });
    await client.write(COUNTING);
    await client.closeWrite();
    const received = await chunks(server);
    assertEquals(sizes(received), [1, 4, 1, 14]);
    assertEquals(joined(received), [...COUNTING]);
  });

  it("split by a seed is the same for the same seed and another for another", async () => {
    const play = async (seed: number) => {
      const [client, server] = faulty({ split: { seed, max: 5 } });
      await client.write(new Uint8Array(200));
      await client.closeWrite();
      return sizes(await chunks(server));
    };
    const [first, again, other] = [await play(1), await play(1), await play(2)];
    assertEquals(first, again);
    assert(first.join() !== other.join());
    assertEquals(first.reduce((sum, size) => sum + size), 200);
    assert(first.every((size) => size >= 1 && size <= 5));
  });

  it("delay by the clock delivers when its time has come, in order", async () => {
    const clock = new FakeClock();
    const [client, server] = connectionPair({ clock, faults: ({ side }) => side === "client" ? { delay: 100 } : {} });
    const arrived: [number, number][] = [];
    const reading = (async () => {
      for (let chunk = await server.read(); chunk; chunk = await server.read()) arrived.push([chunk[0], clock.now()]);
    })();
    await client.write(new Uint8Array([1]));
    await clock.advance(60);
    await client.write(new Uint8Array([2]));
    await clock.advance(39);
    assertEquals(arrived, []);
    await clock.advance(1);
    assertEquals(arrived, [[1, 100]]);
    await client.closeWrite();
    await clock.advance(1000);
    assertEquals(arrived, [[1, 100], [2, 160]]);
    await reading;
  });

  it("corrupt flips just those bits, wherever the pieces are cut", async () => {
    const [client, server] = faulty({ corrupt: [{ byte: 0, bit: 7 }, { byte: 9, bit: 0 }], split: [9] });
    const sent = new Uint8Array(20);
    await client.write(sent.subarray(0, 5));
    await client.write(sent.subarray(5));
    await client.closeWrite();
    const expected = new Array(20).fill(0);
    expected[0] = 128;
    expected[9] = 1;
    assertEquals(joined(await chunks(server)), expected);
    assert(sent.every((byte) => byte === 0), "the caller's bytes were changed");
  });

  it("resetAfter delivers so many bytes, then resets both sides", async () => {
    for (const resetAfter of [0, 1, 7, 20]) {
      const [client, server] = faulty({ resetAfter });
      const clientReading = client.read();
      clientReading.catch(() => {});
      await client.write(COUNTING).catch(() => {});
      const received: number[] = [];
      const error = await (async () => {
        for (;;) received.push(...(await server.read())!);
      })().catch((error) => error);
      assertEquals(received, [...COUNTING.subarray(0, resetAfter)]);
      assertEquals(codeOf(error), "reset");
      assertEquals(codeOf(await clientReading.catch((error) => error)), "reset");
      assertEquals(codeOf(await client.write(COUNTING).catch((error) => error)), "reset");
      assertEquals(codeOf(await server.write(COUNTING).catch((error) => error)), "reset");
      assertEquals([codeOf(await client.closed), codeOf(await server.closed)], ["reset", "reset"]);
    }
  });

  it("freeze stops after so many bytes, fills up, and goes on where it was", async () => {
    const thaw = Promise.withResolvers<void>();
    const clock = new FakeClock();
    const [client, server] = connectionPair({
      clock,
      pipeSize: 8,
      faults: ({ side }) => side === "client" ? { freeze: { after: 5, until: thaw.promise } } : undefined,
    });
    let written = false;
    const writing = client.write(COUNTING).then(() => written = true);
    assertEquals(await server.read(), COUNTING.subarray(0, 5));
    let read = false;
    const reading = server.read().then((chunk) => (read = true, chunk));
    await clock.advance(1e9);
    assertEquals([written, read], [false, false]);
    await server.write(new Uint8Array([1]));
    assertEquals(await client.read(), new Uint8Array([1]));
    thaw.resolve();
    const rest = [...(await reading)!];
    while (rest.length < 15) rest.push(...(await server.read())!);
    assertEquals(rest, [...COUNTING.subarray(5)]);
    await writing;
  });

  it("a frozen direction can be aborted", async () => {
    const [client, server] = faulty({ freeze: { after: 0 } });
    const reading = server.read();
    const writing = client.write(new Uint8Array(1 << 20));
    client.abort();
    assertEquals(codeOf(await writing.catch((error) => error)), "closed");
    server.abort();
    assertEquals(codeOf(await reading.catch((error) => error)), "closed");
  });

  it("closeAfter shows FIN after so many bytes; the rest and the other FIN vanish", async () => {
    const [client, server] = faulty({ closeAfter: 6 });
    await client.write(COUNTING);
    await client.write(COUNTING);
    await client.closeWrite();
    assertEquals(joined(await chunks(server)), [...COUNTING.subarray(0, 6)]);
    assertEquals(await server.read(), null);
    await server.write(COUNTING);
    assertEquals((await client.read())?.length, 20);
  });

  it("dropAfter takes everything and delivers no more, FIN neither", async () => {
    const clock = new FakeClock();
    const [client, server] = connectionPair({
      clock,
      pipeSize: 64,
      faults: ({ side }) => side === "client" ? { dropAfter: 4 } : undefined,
    });
    for (let round = 0; round < 100; round++) await client.write(COUNTING);
    await client.closeWrite();
    assertEquals(await server.read(), COUNTING.subarray(0, 4));
    let ended = false;
    server.read().then(() => ended = true, () => ended = true);
    await clock.advance(1e9);
    assertEquals(ended, false);
    server.abort();
  });

  it("the script is asked for each direction of each connection", async () => {
    const asked: string[] = [];
    const transport = memoryTransport({ faults: ({ index, side }) => void asked.push(`${side} ${index}`) });
    await using listener = await transport.listen({ path: "here" });
    await transport.connect({ path: "here" });
    await transport.connect({ path: "here" });
    assertEquals(asked, ["client 0", "server 0", "client 1", "server 1"]);
    assertEquals(listener.address, { path: "here" });
  });

  it("the server's direction fails alone", async () => {
    const [client, server] = connectionPair({
      faults: ({ side }) => side === "server" ? { corrupt: { byte: 0, bit: 1 } } : undefined,
    });
    await client.write(new Uint8Array([0]));
    await server.write(new Uint8Array([0]));
    assertEquals(await server.read(), new Uint8Array([0]));
    assertEquals(await client.read(), new Uint8Array([2]));
  });
});

describe("memory transport by itself", () => {
  it("a pipe takes pipeSize bytes and no more until some were read", async () => {
    const clock = new FakeClock();
    const [client, server] = connectionPair({ clock, pipeSize: 10 });
    let done = 0;
    const writing = (async () => {
      for (; done < 4; done++) await client.write(new Uint8Array(5));
    })();
    await clock.settle();
    assertEquals(done, 2);
    assertEquals((await server.read())?.length, 5);
    await clock.settle();
    assertEquals(done, 3);
    await chunksOf(server, 15);
    await writing;
    assertThrows(() => connectionPair({ pipeSize: 0 }), RangeError, "pipeSize");
  });

  it("aborting with unread bytes resets the peer; without, the peer sees FIN", async () => {
    for (const [unread, expected] of [[true, "reset"], [false, "null"]] as const) {
      const clock = new FakeClock();
      const [client, server] = connectionPair({ clock });
      if (unread) await server.write(new Uint8Array(1));
      await clock.settle();
      client.abort();
      assertEquals(await server.read().then(String, codeOf), expected);
    }
  });

  it("writing to a peer that has gone resets when the bytes arrive", async () => {
    const clock = new FakeClock();
    const [client, server] = connectionPair({ clock });
    client.abort();
    assertEquals(await server.read(), null);
    await server.write(new Uint8Array(1));
    await clock.settle();
    assertEquals(codeOf(await server.write(new Uint8Array(1)).catch((error) => error)), "reset");
  });

  it("bytes arrive in a later turn, after deferred calls", async () => {
    const transport = memoryTransport();
    const [client, server] = connectionPair();
    const order: string[] = [];
    const reading = server.read().then(() => order.push("read"));
    await client.write(new Uint8Array(1)).then(() => order.push("written"));
    await Promise.resolve();
    transport.eventLoop!.defer(() => order.push("deferred"));
    await reading;
    assertEquals(order, ["written", "deferred", "read"]);
  });

  it("a wildcard listens at every host name, and names do not share ports by accident", async () => {
    const transport = memoryTransport();
    await using all = await transport.listen({ hostname: "0.0.0.0", port: 80 });
    await transport.connect({ hostname: "localhost", port: 80 });
    await transport.connect({ hostname: "example.org", port: 80 });
    const inUse = { name: "ConnectionError", code: "address-in-use" };
    const error = await transport.listen({ hostname: "example.org", port: 80 }).catch((error) => error);
    assertEquals({ name: error.name, code: error.code }, inUse);
    await all.close();
    await using one = await transport.listen({ hostname: "a", port: 80 });
    await using two = await transport.listen({ hostname: "b", port: 80 });
    const taken = await transport.listen({ hostname: "::", port: 80 }).catch((error) => error);
    assertEquals({ name: taken.name, code: taken.code }, inUse);
    await assertRejects(() => transport.connect({ hostname: "c", port: 80 }), ConnectionError, "refused");
    await assertRejects(() => memoryTransport().connect({ hostname: "a", port: 80 }), ConnectionError, "refused");
    assert(one.address !== two.address);
  });

  it("a listener closed twice leaves its successor alone", async () => {
    const transport = memoryTransport();
    const first = await transport.listen({ path: "here" });
    await first.close();
    await using second = await transport.listen({ path: "here" });
    await first.close();
    await transport.connect(second.address);
  });
});

describe("FakeClock", () => {
  it("runs timers in order of time, then of setting, with the time right in each", async () => {
    const clock = new FakeClock(1000);
    const fired: [string, number][] = [];
    const set = (name: string, ms: number) => clock.setTimeout(() => fired.push([name, clock.now()]), ms);
    set("late", 30);
    set("early", 10);
    set("also early", 10);
    const forgotten = set("forgotten", 20);
    clock.clearTimeout(forgotten);
    clock.clearTimeout(forgotten);
    clock.unref(set("beyond", 31));
    assertEquals(clock.pending, 4);
    await clock.advance(30);
    assertEquals(fired, [["early", 1010], ["also early", 1010], ["late", 1030]]);
    assertEquals([clock.now(), clock.pending], [1030, 1]);
  });

  it("runs timers that were set on the way, and lets promises settle in between", async () => {
    const clock = new FakeClock();
    const fired: number[] = [];
    const again = async () => {
      await Promise.resolve();
      fired.push(clock.now());
      clock.setTimeout(again, 10);
    };
    clock.setTimeout(again, 10);
    await clock.advance(35);
    assertEquals(fired, [10, 20, 30]);
  });

  it("settles when a whole conversation over memory connections is over", async () => {
    const clock = new FakeClock();
    const [client, server] = connectionPair({ clock });
    let rounds = 0;
    const talk = async (own: Connection) => {
      for (let chunk = await own.read(); chunk && rounds < 500; chunk = await own.read()) {
        rounds++;
        await own.write(chunk);
      }
    };
    talk(client);
    talk(server);
    await client.write(new Uint8Array(1));
    await clock.settle();
    assertEquals(rounds, 500);
  });

  it("says so when it never comes to rest", async () => {
    const clock = new FakeClock();
    let on = true;
    const spin = () => {
      if (on) clock.turn(spin);
    };
    spin();
    await assertRejects(() => clock.settle(), Error, "Cannot settle");
    on = false;
    await clock.settle();
  });
});

function faulty(faults: Faults): [Connection, Connection] {
  return connectionPair({ faults: ({ side }) => side === "client" ? faults : undefined });
}

async function chunks(connection: Connection): Promise<Uint8Array[]> {
  const received: Uint8Array[] = [];
  for (let chunk = await connection.read(); chunk; chunk = await connection.read()) received.push(chunk);
  return received;
}

async function chunksOf(connection: Connection, size: number): Promise<void> {
  for (let left = size; left > 0;) left -= (await connection.read())!.length;
}

function sizes(received: Uint8Array[]): number[] {
  return received.map((chunk) => chunk.length);
}

function joined(received: Uint8Array[]): number[] {
  return received.flatMap((chunk) => [...chunk]);
}

function codeOf(error: unknown): string {
  assertInstanceOf(error, ConnectionError);
  return error.code;
}
