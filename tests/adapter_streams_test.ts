import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { nodeTransport } from "../src/adapters/node.ts";
import { fromStreams } from "../src/adapters/streams.ts";
import { toStreams } from "../src/adapters/web_streams.ts";
import { ConnectionError } from "../src/errors.ts";
import type { Connection, Transport } from "../src/transport.ts";
import { conformance } from "./conformance.ts";

conformance("streams over node", () => throughStreams(nodeTransport()), { network: true, bufferSize: false });

// The same transport, with each connection taken apart into its streams and put together again.
function throughStreams(transport: Transport): Transport {
  const wrap = (inner: Connection) => {
    const outer = fromStreams(toStreams(inner), inner);
    outer.unref = () => inner.unref();
    return outer;
  };
  return {
    ...transport,
    connect: async (to, options) => wrap(await transport.connect(to, options)),
    listen: async (at, options) => {
      const listener = await transport.listen(at, options);
      return {
        address: listener.address,
        close: () => listener.close(),
        unref: () => listener.unref(),
        [Symbol.asyncDispose]: () => listener.close(),
        async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
          for await (const connection of listener) yield wrap(connection);
        },
      };
    },
  };
}

describe("fromStreams()", () => {
  const pair = () => {
    const up = new TransformStream<Uint8Array<ArrayBuffer>>();
    const down = new TransformStream<Uint8Array<ArrayBuffer>>();
    return {
      up,
      down,
      left: fromStreams({ readable: down.readable, writable: up.writable }),
      right: fromStreams({ readable: up.readable, writable: down.writable }, {
        local: { path: "right" },
        remote: { hostname: "left", port: 1 },
      }),
    };
  };

  it("shows the addresses it was given, else empty paths", () => {
    const { left, right } = pair();
    assertEquals([left.local, left.remote], [{ path: "" }, { path: "" }]);
    assertEquals([right.local, right.remote], [{ path: "right" }, { hostname: "left", port: 1 }]);
  });

  it("carries bytes and FIN both ways over TransformStreams", async () => {
    const { left, right } = pair();
    const writing = left.write(new Uint8Array([1, 2]));
    assertEquals(await right.read(), new Uint8Array([1, 2]));
    await writing;
    const closing = left.closeWrite();
    assertEquals([await right.read(), await right.read()], [null, null]);
    await closing;
    const answering = right.write(new Uint8Array([3]));
    assertEquals(await left.read(), new Uint8Array([3]));
    await answering;
    const ending = right.closeWrite();
    assertEquals(await left.read(), null);
    await ending;
    assertEquals([await left.closed, await right.closed], [undefined, undefined]);
  });

  it("copies what it writes, because a stream keeps its chunks", async () => {
    const identity = new TransformStream<Uint8Array<ArrayBuffer>>(undefined, undefined, { highWaterMark: 4 });
    const connection = fromStreams(identity);
    const buffer = new Uint8Array([1]);
    await connection.write(buffer);
    buffer[0] = 2;
    assertEquals(await connection.read(), new Uint8Array([1]));
  });

  it("takes views and ArrayBuffers as chunks, and skips empty ones", async () => {
    const whole = new Uint8Array([9, 1, 2, 9]).buffer;
    const chunks = [
      new DataView(whole, 1, 2),
      new Uint8Array(0),
      new ArrayBuffer(0),
      new Uint8Array([3]).buffer,
      new Int8Array([4]),
    ];
    const connection = fromStreams({ readable: ReadableStream.from(chunks) as never, writable: new WritableStream() });
    const bytes = [];
    for (let chunk = await connection.read(); chunk; chunk = await connection.read()) {
      assertStrictEquals(Object.getPrototypeOf(chunk), Uint8Array.prototype);
      bytes.push([...chunk]);
    }
    assertEquals(bytes, [[1, 2], [3], [4]]);
  });

  it("rejects a chunk that is not bytes", async () => {
    const connection = fromStreams({
      readable: ReadableStream.from(["text"]) as never,
      writable: new WritableStream(),
    });
    await assertRejects(() => connection.read(), ConnectionError, "a chunk is not bytes but string");
  });

  it("does not take a stream that failed without a reason for one that ended", async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const connection = fromStreams({ readable, writable: new WritableStream() });
    const reading = assertRejects(() => connection.read(), ConnectionError);
    await writable.abort();
    await reading;
  });

  it("waits for a stream that does not take more", async () => {
    const { left, right } = pair();
    let done = false;
    const writing = left.write(new Uint8Array(1)).then(() => left.write(new Uint8Array(1))).then(() => done = true);
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert(!done);
    await right.read();
    await right.read();
    await writing;
  });

  it("aborting cancels one stream and aborts the other, also while both are busy", async () => {
    const seen: unknown[] = [];
    const never = new Promise<void>(() => {});
    const connection = fromStreams({
      readable: new ReadableStream({ pull: () => never, cancel: (reason) => void seen.push(reason) }),
      writable: new WritableStream({
        start: (controller) => controller.signal.addEventListener("abort", () => seen.push(controller.signal.reason)),
        write: () => never,
      }),
    });
    const reason = new Error("enough");
    const reading = connection.read();
    const writing = connection.write(new Uint8Array(1));
    connection.abort(reason);
    assertStrictEquals(await reading.catch((error) => error), reason);
    assertStrictEquals(await writing.catch((error) => error), reason);
    assertStrictEquals(await connection.closed, reason);
    assertEquals(seen, [reason, reason]);
  });

  it("writing nothing does not wait for a reader, and sends no chunk", async () => {
    const { left, right } = pair();
    await left.write(new Uint8Array(0));
    const writing = left.write(new Uint8Array([1]));
    assertEquals(await right.read(), new Uint8Array([1]));
    await writing;
  });

  it("aborting rejects a closeWrite() that the stream never finishes", async () => {
    const connection = fromStreams({
      readable: new ReadableStream(),
      writable: new WritableStream({ close: () => new Promise(() => {}) }),
    });
    const closing = connection.closeWrite();
    await Promise.resolve();
    const reason = new Error("enough");
    connection.abort(reason);
    assertStrictEquals(await closing.catch((error) => error), reason);
  });

  it("an error of a stream is a ConnectionError with that cause", async () => {
    const cause = Object.assign(new Error("gone"), { code: "ECONNRESET" });
    const broken = fromStreams({
      readable: new ReadableStream({ start: (controller) => controller.error(cause) }),
      writable: new WritableStream(),
    });
    const error = await broken.read().catch((error) => error);
    assertEquals([error.code, error.cause], ["reset", cause]);
    assertStrictEquals(await broken.closed, error);
    const other = new Error("something else");
    const deaf = fromStreams({
      readable: new ReadableStream(),
      writable: new WritableStream({ start: (controller) => controller.error(other) }),
    });
    const failed = await deaf.write(new Uint8Array(1)).catch((error) => error);
    assertEquals([failed.code, failed.cause], ["network-error", other]);
    deaf.abort();
  });

  it("refuses locked streams", () => {
    const { up } = pair();
    assertThrows(() => fromStreams(up), TypeError, "locked");
  });
});
