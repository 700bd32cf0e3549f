import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { fromStreams, toStreams } from "../mod.ts";
import { connectionPair, FakeClock } from "../src/adapters/memory.ts";
import { ConnectionError } from "../src/errors.ts";
import type { Connection } from "../src/transport.ts";

/** Has everything happen that can. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

/** A connection that counts its calls; each read and write is settled by the test. */
function byHand(): { connection: Connection; calls: string[]; reads: Settle[]; writes: Settle[] } {
  const calls: string[] = [];
  const reads: Settle[] = [];
  const writes: Settle[] = [];
  const closed = Promise.withResolvers<Error | undefined>();
  const pending = (name: string, list: Settle[]): Promise<never> => {
    calls.push(name);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    list.push({ resolve, reject });
    return promise as Promise<never>;
  };
  const connection: Connection = {
    local: { path: "" },
    remote: { path: "" },
    closed: closed.promise,
    read: () => pending("read", reads),
    write: (bytes) => pending(`write ${bytes.length}`, writes),
    closeWrite: () => pending("closeWrite", writes),
    abort(reason): void {
      calls.push(`abort ${reason?.message}`);
      closed.resolve(reason ?? new Error("aborted"));
    },
    unref: () => {},
  };
  return { connection, calls, reads, writes };
}

interface Settle {
  readonly resolve: (value?: unknown) => void;
  readonly reject: (error: Error) => void;
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(() => undefined, (error) => error);
}

describe("toStreams()", () => {
  it("carries bytes both ways, and either half may close first", async () => {
    for (const first of ["client", "server"] as const) {
      const [client, server] = connectionPair();
      const ends = { client: toStreams(client), server: toStreams(server) };
      const last = first === "client" ? "server" : "client";
      const from = { one: ends[first].writable.getWriter(), other: ends[last].writable.getWriter() };
      const to = { one: ends[last].readable.getReader(), other: ends[first].readable.getReader() };
      await from.one.write(new Uint8Array([1, 2]));
      assertEquals((await to.one.read()).value, new Uint8Array([1, 2]));
      await from.one.close();
      assertEquals((await to.one.read()).done, true);
      // The other half goes on.
      await from.other.write(new Uint8Array([3]));
      assertEquals((await to.other.read()).value, new Uint8Array([3]));
      await from.other.close();
      assertEquals((await to.other.read()).done, true);
      assertEquals([await client.closed, await server.closed], [undefined, undefined], first);
    }
  });

  it("is the way back from fromStreams(), over any number of turns", async () => {
    const [client, server] = connectionPair();
    const again = fromStreams(toStreams(fromStreams(toStreams(server))));
    const writing = client.write(new Uint8Array([1, 2, 3]));
    assertEquals(await again.read(), new Uint8Array([1, 2, 3]));
    await writing;
    await again.write(new Uint8Array([4]));
    assertEquals(await client.read(), new Uint8Array([4]));
    await Promise.all([client.closeWrite(), again.closeWrite()]);
    assertEquals([await client.read(), await again.read()], [null, null]);
    assertEquals(await client.closed, undefined);
  });

  it("reads a chunk only when somebody asks for one", async () => {
    const { connection, calls, reads } = byHand();
    const reader = toStreams(connection).readable.getReader();
    await settle();
    assertEquals(calls, []);
    const reading = reader.read();
    await settle();
    assertEquals(calls, ["read"]);
    reads[0].resolve(new Uint8Array([1]));
    assertEquals((await reading).value, new Uint8Array([1]));
    await settle();
    assertEquals(calls, ["read"]);
  });

  it("has the connection wait for a reader that is slow", async () => {
    const clock = new FakeClock();
    const [client, server] = connectionPair({ pipeSize: 10, clock });
    const reader = toStreams(server).readable.getReader();
    let written = 0;
    const writing = (async () => {
      for (; written < 100; written += 10) await client.write(new Uint8Array(10));
      await client.closeWrite();
    })();
    await clock.settle();
    assert(written <= 20, `${written} bytes were taken`);
    let read = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) read += part.value.length;
    await writing;
    assertEquals(read, 100);
    server.abort();
  });

  it("writes one chunk at a time, and ready waits for the connection", async () => {
    const { connection, calls, writes } = byHand();
    const writer = toStreams(connection).writable.getWriter();
    let ready = 0;
    const watch = (): void => void writer.ready.then(() => ready++);
    await writer.ready;
    const all = [writer.write(new Uint8Array(1)), writer.write(new Uint8Array(2))];
    watch();
    await settle();
    assertEquals([calls, ready], [["write 1"], 0]);
    writes[0].resolve();
    await settle();
    assertEquals([calls, ready], [["write 1", "write 2"], 0]);
    const closing = writer.close();
    await settle();
    assertEquals(calls, ["write 1", "write 2"]);
    writes[1].resolve();
    await settle();
    assertEquals([calls, ready], [["write 1", "write 2", "closeWrite"], 1]);
    writes[2].resolve();
    await Promise.all([...all, closing]);
  });

  it("aborting writable aborts the connection at once, though a write is pending", async () => {
    const { connection, calls } = byHand();
    const writer = toStreams(connection).writable.getWriter();
    writer.write(new Uint8Array(1)).catch(() => {});
    writer.closed.catch(() => {});
    await settle();
    const reason = new Error("enough");
    writer.abort(reason).catch(() => {});
    await settle();
    assertEquals(calls, ["write 1", "abort enough"]);
    assertStrictEquals(await connection.closed, reason);
  });

  it("cancelling readable aborts the connection, with any reason", async () => {
    for (const reason of [new Error("enough"), "enough", undefined]) {
      const [client, server] = connectionPair();
      await toStreams(client).readable.cancel(reason);
      const error = await client.closed;
      if (reason instanceof Error) assertStrictEquals(error, reason);
      else {
        assertInstanceOf(error, ConnectionError);
        assertEquals([error.code, error.cause], ["closed", reason]);
      }
      server.abort();
    }
  });

  it("an error of the connection fails both streams", async () => {
    const [client, server] = connectionPair({
      faults: ({ side }) => side === "server" ? { resetAfter: 1 } : undefined,
    });
    const { readable, writable } = toStreams(client);
    const writer = writable.getWriter();
    const closed = failure(writer.closed);
    const reader = readable.getReader();
    await server.write(new Uint8Array(2)).catch(() => {});
    assertEquals((await reader.read()).value, new Uint8Array(1));
    const error = await failure(reader.read());
    assertInstanceOf(error, ConnectionError);
    assertEquals(error.code, "reset");
    assertStrictEquals(await closed, error);
    assertStrictEquals(await failure(writer.write(new Uint8Array(1))), error);
  });

  it("a chunk that the connection cannot write fails its write, and reading goes on", async () => {
    const { connection, reads, writes } = byHand();
    const { readable, writable } = toStreams(connection);
    const writer = writable.getWriter();
    const closed = failure(writer.closed);
    const writing = failure(writer.write(new Uint8Array(1)));
    await settle();
    const reason = new ConnectionError("reset", "gone");
    writes[0].reject(reason);
    assertStrictEquals(await writing, reason);
    assertStrictEquals(await closed, reason);
    const reading = readable.getReader().read();
    await settle();
    reads[0].resolve(new Uint8Array([7]));
    assertEquals((await reading).value, new Uint8Array([7]));
  });
});
