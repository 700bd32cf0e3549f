import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { denoTransport } from "../src/adapters/deno.ts";
import { ReadBuffer } from "../src/adapters/read_buffer.ts";
import { ConfigError } from "../src/errors.ts";
import type { Connection, Endpoint, Listener, Transport } from "../src/transport.ts";
import { conformance } from "./conformance.ts";

function controlled(): { readonly signal: AbortSignal; abort(reason: Error): void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
}

/** Returns both ends of a new connection. */
async function connectTo(listener: Listener, transport: Transport): Promise<[client: Connection, server: Connection]> {
  const accepting = listener[Symbol.asyncIterator]().next();
  const client = await transport.connect(listener.address as Endpoint);
  return [client, (await accepting).value as Connection];
}

if ("Deno" in globalThis) {
  conformance("deno", denoTransport, {
    network: true,
    bufferSize: true,
    program: { url: new URL("../src/adapters/deno.ts", import.meta.url).href, factory: "denoTransport" },
  });

  describe("the event loop of Deno", () => {
    it("lets a quiet socket be read between crowded turns, however busy it is", async () => {
      const transport = denoTransport();
      const listener = await transport.listen({ hostname: "127.0.0.1", port: 0 });
      const [client, server] = await connectTo(listener, transport);
      // The loop has just looked at its sockets when this is read.
      const [first] = await Promise.all([server.read(), client.write(new Uint8Array([6]))]);
      let second: Uint8Array | null | undefined;
      const reading = server.read().then((chunk: Uint8Array | null) => void (second = chunk));
      const writing = client.write(new Uint8Array([7]));
      let busy = true;
      // In two milliseconds, a busy loop turns a few times only.
      const work = (): void => {
        const end = performance.now() + 0.5;
        while (performance.now() < end);
        if (busy) setImmediate(work);
      };
      work();
      await new Promise<void>((resolve) => transport.eventLoop!.yield(resolve, true));
      busy = false;
      assertEquals([first, second], [new Uint8Array([6]), new Uint8Array([7])]);
      await Promise.all([reading, writing]);
      client.abort();
      server.abort();
      await listener.close();
    });
  });

  describe("a crowd of busy connections on Deno", () => {
    it("gets every byte, also after one of them was left", async () => {
      const SIZE = 1_000_000;
      const CROWD = 40;
      const transport = denoTransport();
      const listener = await transport.listen({ hostname: "127.0.0.1", port: 0 });
      const clients: Connection[] = [];
      const servers: Connection[] = [];
      for (let i = 0; i < CROWD; i++) {
        const [client, server] = await connectTo(listener, transport);
        clients.push(client);
        servers.push(server);
      }
      const count = async (connection: Connection): Promise<number> => {
        let bytes = 0;
        for (let chunk = await connection.read(); chunk !== null; chunk = await connection.read()) {
          bytes += chunk.length;
          connection.recycle?.(chunk);
        }
        return bytes;
      };
      const [left, ...others] = servers;
      const leave = async (): Promise<void> => {
        // By then its reads fill the largest buffer, and those of a crowd have to wait.
        for (let i = 0; i < 8; i++) await left.read();
        const reading = left.read();
        left.abort(new Error("enough"));
        await assertRejects(() => reading, Error, "enough");
      };
      const leaving = leave();
      const counting = Promise.all(others.map(count));
      const writing = Promise.all(clients.map(async (client, i) => {
        // What the one that is left can still write is up to the system.
        const written = client.write(new Uint8Array(SIZE)).then(() => client.closeWrite());
        await (i === 0 ? written.catch(() => {}) : written);
      }));
      assertEquals(await counting, others.map(() => SIZE));
      await leaving;
      await writing;
      for (const connection of [...clients, ...servers]) connection.abort();
      await listener.close();
    });
  });

  describe("connect() of Deno that is aborted", () => {
    const { Deno } = globalThis as unknown as { Deno: { connect(options: { signal: AbortSignal }): Promise<unknown> } };
    /** Runs a task with a `Deno.connect` that does what it is told. */
    async function withConnect(
      task: (signal: Promise<AbortSignal>, answer: PromiseWithResolvers<unknown>) => Promise<void>,
    ): Promise<void> {
      const { connect } = Deno;
      const answer = Promise.withResolvers<unknown>();
      const told = Promise.withResolvers<AbortSignal>();
      Deno.connect = ({ signal }) => {
        told.resolve(signal);
        return answer.promise;
      };
      try {
        await task(told.promise, answer);
      } finally {
        Deno.connect = connect;
      }
    }
    const to = { hostname: "127.0.0.1", port: 1 };

    it("rejects at once, and closes the socket that has connected all the same", () =>
      withConnect(async (told, answer) => {
        const { signal, abort } = controlled();
        const connecting = denoTransport().connect(to, { signal });
        const passed = await told;
        abort(new RangeError("enough"));
        await assertRejects(() => connecting, RangeError, "enough");
        assertEquals(passed.aborted, false, "Deno would leave the socket open");
        const closed = new Promise<void>((resolve) => answer.resolve({ close: resolve }));
        await closed;
      }));

    it("tells Deno in the end", () =>
      withConnect(async (told, answer) => {
        const { signal, abort } = controlled();
        const connecting = denoTransport().connect(to, { signal });
        const passed = await told;
        abort(new RangeError("enough"));
        await assertRejects(() => connecting, RangeError, "enough");
        await new Promise((resolve) => passed.addEventListener("abort", resolve));
        answer.reject(new Error("aborted"));
      }));
  });
} else {
  it("denoTransport() says that this runtime is not Deno", () => {
    const error = assertThrows(() => denoTransport(), ConfigError, "Cannot make the Deno transport: this runtime is ");
    if (error.code !== "unsupported") throw error;
  });
}

describe("ReadBuffer", () => {
  const read = (buffer: ReadBuffer, available: number): { room: number; chunk: Uint8Array } => {
    const room = buffer.room();
    return { room: room.length, chunk: buffer.take(Math.min(room.length, available)) };
  };

  it("grows four-fold while reads fill it, up to the most", () => {
    const buffer = new ReadBuffer(50_000);
    const rooms = Array.from({ length: 7 }, () => read(buffer, Infinity).room);
    assertEquals(rooms, [256, 1024, 4096, 16384, 50_000, 50_000, 50_000]);
  });

  it("tells whether the last read filled the largest room", () => {
    const buffer = new ReadBuffer(65536);
    assertEquals(buffer.filled, false);
    // The room of a connection that begins is small: a message fills it, and nothing more need be there.
    for (const size of [256, 1024, 4096, 16384]) {
      assertEquals([read(buffer, Infinity).room, buffer.filled], [size, false]);
    }
    for (let i = 0; i < 3; i++) assertEquals([read(buffer, Infinity).room, buffer.filled], [65536, true]);
    read(buffer, 65_535);
    assertEquals(buffer.filled, false);
  });

  it("holds no more than 4 KiB after a burst, and 256 bytes when little came the last time", () => {
    const buffer = new ReadBuffer(65536);
    for (const last of [60_000, 10_000]) {
      for (let round = 0; round < 6; round++) read(buffer, Infinity);
      read(buffer, last);
      assertEquals(buffer.room().buffer.byteLength, 4096);
    }
    while (read(buffer, 100).room > 200);
    assertEquals(buffer.room().buffer.byteLength, 256);
  });

  it("fits a message of the size that came before in one read", () => {
    for (const size of [64, 200, 300, 1000, 2000, 4000]) {
      const buffer = new ReadBuffer(65536);
      for (let warm = 0; warm < 50; warm++) {
        for (let left = size; left > 0;) left -= read(buffer, left).chunk.length;
      }
      let reads = 0;
      for (let round = 0; round < 100; round++) {
        for (let left = size; left > 0; reads++) left -= read(buffer, left).chunk.length;
      }
      assert(reads <= 105, `${reads} reads for 100 messages of ${size} bytes`);
    }
  });

  it("shares a buffer among small reads, and no byte twice", () => {
    const buffer = new ReadBuffer(65536);
    const chunks = Array.from({ length: 64 }, () => read(buffer, 60).chunk);
    const buffers = new Set(chunks.map((chunk) => chunk.buffer));
    assert(buffers.size <= 16, `${buffers.size} buffers`);
    const seen = new Set(chunks.map((chunk) => [[...buffers].indexOf(chunk.buffer), chunk.byteOffset].join()));
    assertEquals(seen.size, 64);
  });

  it("reads into a whole buffer that was given back, and keeps none that is larger than the next", () => {
    const buffer = new ReadBuffer(1024);
    const first = read(buffer, 256).chunk;
    assertEquals(first.length, 256);
    const second = read(buffer, 1024).chunk;
    assertEquals(second.length, 1024);
    buffer.recycle(second);
    assertEquals(buffer.room().buffer, second.buffer);
    const part = buffer.take(100);
    // Room was left: the next read may wait for long, and gets a small one of its own.
    buffer.recycle(part);
    buffer.recycle(first);
    assert(buffer.room().buffer !== first.buffer && buffer.room().length <= 924);
  });

  it("hands out no buffer twice that was not given back", () => {
    const buffer = new ReadBuffer(256);
    const chunks = Array.from({ length: 4 }, () => read(buffer, 256).chunk);
    assertEquals(new Set(chunks.map((chunk) => chunk.buffer)).size, 4);
  });
});
