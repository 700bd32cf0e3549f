/** When what was sent is written: the turns of the queue, and connections that take bytes at once, later, or not at all. */

import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { bytes, Client, ConnectionError, messageType } from "../mod.ts";
import { type Channel as SocketChannel, Duplex } from "../src/adapters/duplex.ts";
import { Channel } from "../src/link/channel.ts";
import { FlushQueue } from "../src/link/flush_queue.ts";
import { KeptBytes } from "../src/link/kept_bytes.ts";
import type { LatestTerms } from "../src/link/latest_frames.ts";
import { FrameWriter } from "../src/link/frame_writer.ts";
import type { ChunkWriter, Connection, EventLoop } from "../src/transport.ts";
import { protocol } from "../src/wire/protocols.ts";
import { memoryWorld, scripted, serve, turn, until, watching } from "./session_support.ts";

/** An event loop whose turns end when the test says so. */
interface Turns {
  readonly loop: EventLoop;
  /** The number of functions that wait for the end of the turn. */
  readonly scheduled: number;
  end(): void;
}

function steps(): Turns {
  const waiting: (() => void)[] = [];
  return {
    loop: {
      defer: (fn: () => void) => void waiting.push(fn),
      clock: { setTimeout: () => 1, clearTimeout: () => {} },
    } as unknown as EventLoop,
    end: () => waiting.splice(0).forEach((fn) => fn()),
    get scheduled(): number {
      return waiting.length;
    },
  };
}

describe("FlushQueue.flush()", () => {
  it("flushes what waits, and the turn goes on", () => {
    const turns = steps();
    const queue = new FlushQueue(turns.loop);
    let flushed = 0;
    queue.begin();
    queue.add({ flush: () => flushed++ });
    queue.flush();
    assertEquals([flushed, queue.open, queue.turn], [1, true, 0]);
    queue.add({ flush: () => flushed++ });
    assertEquals([flushed, turns.scheduled], [1, 1]);
    turns.end();
    assertEquals([flushed, queue.open, queue.turn], [2, false, 1]);
  });

  it("leaves what is gathered for longer than a turn", () => {
    const queue = new FlushQueue(steps().loop, 5);
    let flushed = 0;
    queue.begin();
    queue.add({ flush: () => flushed++ });
    queue.flush();
    assertEquals(flushed, 0);
  });
});

/** A writer, what it has told of, and the sizes of its writes. */
interface Written {
  readonly writer: FrameWriter;
  readonly turns: Turns;
  readonly told: unknown[];
  readonly sizes: number[];
  /** Sends a frame of 17 bytes. */
  send(): number;
}

/** Makes a writer over a connection with a `writeTo` of the test. */
function writerOver(writeTo: (writer: ChunkWriter) => void, eager: boolean, gather = 0): Written {
  const told: unknown[] = [];
  const sizes: number[] = [];
  const turns = steps();
  const { shared } = scripted({ eager });
  const flushes = new FlushQueue(turns.loop, gather);
  const connection = {
    writeTo: (bytes, writer) => {
      sizes.push(bytes.length);
      writeTo(writer);
    },
  } as Partial<Connection> as Connection;
  const writer = new FrameWriter(new Channel(connection), protocol("native"), { ...shared, flushes }, {
    failed: (error) => void told.push(error),
    stalled: () => {},
    pressure: () => {},
    mayStart: () => {},
  });
  const send = (): number => writer.frame(200, 0, 0, "x", 0, 1_000);
  return { writer, turns, told, sizes, send };
}

describe("a connection with writeTo()", () => {
  it("that takes bytes at once gets one write and then, at the end of the turn, all the rest", () => {
    const { sizes, send, turns, writer } = writerOver((writer) => writer.taken(), false);
    for (let i = 0; i < 5; i++) send();
    // What follows from a write must not happen in the middle of the call.
    assertEquals([sizes, writer.written], [[17], 0]);
    turns.end();
    assertEquals([sizes, writer.written], [[17, 68], 17]);
    turns.end();
    assertEquals([writer.written, writer.buffered, turns.scheduled], [85, 0, 0]);
    send();
    assertEquals(sizes, [17, 68, 17]);
  });

  it("that takes bytes at once gets each write in a microtask if writes are eager, or gathered for longer", async () => {
    const eager = writerOver((writer) => writer.taken(), true);
    eager.send();
    eager.send();
    assertEquals([eager.sizes, eager.writer.written], [[17], 0]);
    await Promise.resolve();
    assertEquals([eager.sizes, eager.writer.written, eager.turns.scheduled], [[17, 17], 17, 0]);

    const patient = writerOver((writer) => writer.taken(), false, 5);
    patient.send();
    assertEquals(patient.sizes, []);
    patient.writer.flush();
    assertEquals([patient.sizes, patient.writer.written], [[17], 0]);
    await Promise.resolve();
    assertEquals([patient.writer.written, patient.writer.buffered], [17, 0]);
  });

  it("that takes bytes later gets at the end of that turn all that waits by then", () => {
    const writers: ChunkWriter[] = [];
    const { sizes, send, turns, writer } = writerOver((writer) => void writers.push(writer), false);
    send();
    // Node calls back with null.
    writers.pop()!.taken(null);
    assertEquals([sizes, writer.written, turns.scheduled], [[17], 17, 1]);
    send();
    send();
    assertEquals(sizes, [17]);
    turns.end();
    assertEquals(sizes, [17, 34]);
  });

  it("replaces a message of which only the latest counts until the end of the turn", () => {
    const writers: ChunkWriter[] = [];
    const { sizes, send, turns, writer } = writerOver((writer) => void writers.push(writer), false);
    const latest = (size: number): unknown =>
      writer.latest(200, new Uint8Array(size), size, { key: "k" } as unknown as LatestTerms);
    send();
    latest(30);
    writers.pop()!.taken();
    latest(50);
    turns.end();
    assertEquals(sizes, [17, 50]);
  });

  it("that fails, even at once or by throwing, tells of it once and later", async () => {
    const reason = new ConnectionError("reset", "gone");
    const ways: readonly ((writer: ChunkWriter) => void)[] = [
      (writer) => writer.taken(reason),
      () => {
        throw reason;
      },
      (writer) => queueMicrotask(() => writer.taken(reason)),
    ];
    for (const [i, way] of ways.entries()) {
      const { told, send } = writerOver(way, false);
      send();
      assertEquals(told, [], `${i}`);
      await turn();
      assertEquals(told, [reason], `${i}`);
    }
  });

  it("is left out where there is only write(), whose error may be nothing", async () => {
    let rejects = false;
    const channel = new Channel(
      { write: () => rejects ? Promise.reject(undefined) : Promise.resolve() } as Partial<Connection> as Connection,
    );
    const written = (): Promise<unknown> =>
      new Promise((resolve) => channel.writeTo(new Uint8Array(1), { taken: (error) => resolve(error) }));
    assertEquals(await written(), undefined);
    rejects = true;
    assertInstanceOf(await written(), ConnectionError);
  });
});

describe("a handler of a connection's single frame", () => {
  const ASK = messageType(200, "ask", bytes, bytes);
  const ROW = messageType(201, "row", bytes);

  it("is answered when it returns, and what follows in microtasks shares a write", async () => {
    const world = memoryWorld();
    const sizes: number[] = [];
    let returned = -1;
    // A turn that ends much later than the handler.
    const eventLoop = { ...world.transport.eventLoop!, defer: (fn: () => void) => void turn().then(fn) };
    const transport = { ...watching(world.transport, (chunk) => sizes.push(chunk.length)), eventLoop };
    await using served = await serve({ ...world, transport }, {}, (server) => {
      server.route(ASK, ({ data }, client) => {
        queueMicrotask(() => returned = sizes.length);
        void (async () => {
          for (let i = 0; i < 100; i++) {
            await Promise.resolve();
            client.send(ROW, data);
          }
        })();
        return data;
      });
    });
    await using client = new Client({ ...served.address, transport: world.transport });
    let rows = 0;
    client.route(ROW, () => void rows++);
    await client.connect();
    sizes.length = 0;
    await client.request(ASK, new Uint8Array(5));
    await until(() => rows === 100);
    assertEquals(returned, 1, "the answer is written before the next microtask");
    assert(sizes.length <= 4, `${sizes.length} writes`);
  });
});

describe("Duplex", () => {
  const over = (write: () => Promise<void> | undefined): Duplex =>
    new Duplex({ local: { path: "a" }, remote: { path: "b" }, write, release: () => {} } as unknown as SocketChannel);

  it("tells of a channel that rejects with nothing", async () => {
    const connection = over(() => Promise.reject(undefined));
    await assertRejects(() => connection.write(new Uint8Array(1)), ConnectionError, "without saying why");
    await assertRejects(() => connection.write(new Uint8Array(1)), ConnectionError);
  });

  it("goes on after a channel that throws", async () => {
    let throws = true;
    const connection = over(() => {
      if (throws) throw new Error("not now");
      return Promise.resolve();
    });
    await assertRejects(() => connection.write(new Uint8Array(1)), Error, "not now");
    throws = false;
    await connection.write(new Uint8Array(1));
  });
});

describe("a write loop that goes on over another connection", () => {
  const kinds: readonly [name: string, first: (writer: ChunkWriter) => void][] = [
    ["before the turn ends in which the last one has taken bytes", (writer) => writer.taken()],
    ["before the last one has taken bytes", () => {}],
  ];
  for (const [name, first] of kinds) {
    it(`${name}, writes them once more, and hears of the last one no more`, () => {
      const writers: ChunkWriter[] = [];
      const made = writerOver((writer) => {
        writers.push(writer);
        first(writer);
      }, false);
      const { send, sizes, told, turns, writer } = made;
      writer.keep(new KeptBytes(1_000_000, 1_000_000, writer.scheduler), () => {});
      send();
      send();
      writer.leave();
      assertEquals([sizes, writer.written, writer.away], [[17], 17, true]);
      turns.end();
      const again: Uint8Array[] = [];
      const later: ChunkWriter[] = [];
      const next = {
        writeTo: (bytes: Uint8Array, writer: ChunkWriter) => {
          again.push(bytes.slice());
          later.push(writer);
        },
      } as Partial<Connection> as Connection;
      assertEquals(writer.enter(new Channel(next)), 17);
      writers[0].taken(new ConnectionError("reset", "the last one is gone"));
      writers[0].taken();
      turns.end();
      assertEquals([again.map(({ length }) => length), writer.written, told], [[17], 17, []]);
      later.shift()!.taken();
      turns.end();
      assertEquals([again.map(({ length }) => length), writer.written], [[17, 17], 34]);
    });
  }
});
