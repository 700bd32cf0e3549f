import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { denoTransport } from "../src/adapters/deno.ts";
import { ReadBuffer } from "../src/adapters/read_buffer.ts";
import { ConfigError } from "../src/errors.ts";
import type { Connection } from "../src/transport.ts";
import { conformance } from "./conformance.ts";

function controlled(): { readonly signal: AbortSignal; abort(reason: Error): void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: (reason) => controller.abort(reason) };
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
      const accepting = listener[Symbol.asyncIterator]().next();
      const [client, { value: server }] = await Promise.all([
        transport.connect(listener.address as { hostname: string; port: number }),
        accepting,
      ]);
      if (server === undefined) throw new Error("Nobody was accepted");
      let read = false;
      const reading = server.read().then((chunk: Uint8Array | null) => {
        read = true;
        return chunk;
      });
      // Nothing of this turn is waited for: the loop looks at its sockets before it is busy.
      await new Promise((resolve) => setTimeout(resolve, 1));
      const writing = client.write(new Uint8Array([7]));
      let busy = true;
      const work = (): void => {
        const end = performance.now() + 0.5;
        while (performance.now() < end);
        if (busy) setImmediate(work);
      };
      work();
      const before: boolean[] = [];
      for (let i = 0; i < 2; i++) {
        before.push(read);
        await new Promise<void>((resolve) => transport.eventLoop!.yield(resolve, true));
      }
      const seen = read;
      busy = false;
      assertEquals([await reading, before[0], seen], [new Uint8Array([7]), false, true]);
      await writing;
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
        const accepting = listener[Symbol.asyncIterator]().next();
        clients.push(await transport.connect(listener.address as { hostname: string; port: number }));
        servers.push((await accepting).value as Connection);
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
