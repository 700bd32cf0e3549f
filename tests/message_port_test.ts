/** Message ports as connections: the suite of all transports, flow control, and what nobody may post there. */

import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Worker } from "node:worker_threads";
import { type Connection, ConnectionError, fromMessagePort, type MessagePortLike, type Transport } from "../mod.ts";
import { memoryTransport } from "../src/adapters/memory.ts";
import type { TcpEndpoint } from "../src/base/address.ts";
import { conformance } from "./conformance.ts";
import { limited } from "./processes/waiting.ts";
import { soon, turn, until } from "./session_support.ts";

conformance("message ports", throughPorts, { network: false, bufferSize: false });

/**
 * The memory network with each connection replaced by a channel of messages. The network finds the listener, and knows the
 * addresses.
 */
function throughPorts(): Transport {
  const memory = memoryTransport();
  const { eventLoop: _, ...rest } = memory;
  /** The channels by the ports of the clients, until both ends are taken. */
  const channels = new Map<number, MessageChannel>();
  const take = (port: number, end: "port1" | "port2"): MessagePort => {
    const begun = channels.get(port);
    const channel = begun ?? new MessageChannel();
    if (begun === undefined) channels.set(port, channel);
    else channels.delete(port);
    return channel[end];
  };
  return {
    ...rest,
    connect: async (to, options) => {
      const meeting = await memory.connect(to, options);
      const { local, remote } = meeting;
      const { port } = local as TcpEndpoint;
      const connection = fromMessagePort(take(port, "port1"), { local, remote });
      // The listener ends what it has met, and what nobody has taken.
      void meeting.read().catch(() => {}).then(() => {
        meeting.abort();
        if (channels.has(port)) take(port, "port2").close();
      });
      return connection;
    },
    listen: async (at, options) => {
      const listener = await memory.listen(at, options);
      const meet = (meeting: Connection): Connection => {
        const { local, remote } = meeting;
        const port = take((remote as TcpEndpoint).port, "port2");
        meeting.abort();
        return fromMessagePort(port, { local, remote });
      };
      return {
        address: listener.address,
        close: () => listener.close(),
        unref: () => listener.unref(),
        [Symbol.asyncDispose]: () => listener.close(),
        async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
          for await (const meeting of listener) yield meet(meeting);
        },
      };
    },
  };
}

/** A connection, and the port at the other end, which the test uses by hand. */
function byHand(): { connection: Connection; port: MessagePort; heard: unknown[] } & Disposable {
  const { port1, port2 } = new MessageChannel();
  const heard: unknown[] = [];
  port2.addEventListener("message", ({ data }) => heard.push(data));
  port2.start();
  const connection = fromMessagePort(port1);
  return {
    connection,
    port: port2,
    heard,
    [Symbol.dispose]: () => {
      connection.abort();
      port2.close();
    },
  };
}

/** Resolves with the error of a read. */
async function failure(connection: Connection): Promise<ConnectionError> {
  const error = await connection.read().then((chunk) => chunk, (error) => error);
  assertInstanceOf(error, ConnectionError);
  return error;
}

/** The size of what was heard. */
function sum(heard: readonly unknown[]): number {
  return heard.reduce<number>((size, data) => size + (data instanceof ArrayBuffer ? data.byteLength : 0), 0);
}

describe("fromMessagePort()", () => {
  it("shows the addresses that it was given, else what it is", () => {
    const { port1, port2 } = new MessageChannel();
    const [plain, named] = [fromMessagePort(port1), fromMessagePort(port2, { remote: { hostname: "frame", port: 1 } })];
    assertEquals([plain.local, plain.remote], [{ path: "message port" }, { path: "message port" }]);
    assertEquals([named.local, named.remote], [{ path: "message port" }, { hostname: "frame", port: 1 }]);
    plain.abort();
    named.abort();
  });

  it("refuses what is no port", () => {
    assertThrows(() => fromMessagePort(undefined as never), TypeError, "it has no postMessage()");
    assertThrows(() => fromMessagePort({} as never), TypeError, "it has no postMessage()");
    const mute = { postMessage(): void {} };
    assertThrows(() => fromMessagePort(mute), TypeError, "it has neither addEventListener() nor on()");
  });

  it("transfers copies: what is written stays, and nothing is copied on the way", async () => {
    using end = byHand();
    const sent = Uint8Array.of(9, 1, 2, 3, 9);
    await end.connection.write(sent.subarray(1, 4));
    await until(() => end.heard.length > 0);
    assertEquals(sent.length, 5);
    assertInstanceOf(end.heard[0], ArrayBuffer);
    assertEquals(new Uint8Array(end.heard[0] as ArrayBuffer), Uint8Array.of(1, 2, 3));
  });

  it("has at most 256 KiB under way, in messages of up to 64 KiB, and goes on as they are read", async () => {
    using end = byHand();
    let done = false;
    const writing = end.connection.write(new Uint8Array(1 << 20)).then(() => done = true);
    await until(() => end.heard.length === 4);
    for (let i = 0; i < 20; i++) await turn();
    assertEquals([end.heard.length, done], [4, false]);
    assert(sum(end.heard) > 250_000 && sum(end.heard) < 262_144, `${sum(end.heard)}`);
    // As much as one message counts.
    end.port.postMessage(65_536);
    await until(() => end.heard.length === 5);
    for (let i = 0; i < 20; i++) await turn();
    assertEquals(end.heard.length, 5);
    while (!done) {
      end.port.postMessage(65_536);
      await turn();
    }
    await writing;
    await until(() => sum(end.heard) === 1 << 20);
  });

  it("bounds the number of small messages, too", async () => {
    using end = byHand();
    let written = 0;
    let stopped = false;
    const writing = (async () => {
      for (; !stopped; written++) await end.connection.write(new Uint8Array(1));
    })().catch(() => {});
    await until(() => written > 1_000);
    for (let i = 0; i < 20; i++) await turn();
    const most = Math.floor(262_144 / 257);
    assertEquals([written, end.heard.length], [most, most]);
    stopped = true;
    end.connection.abort();
    await writing;
  });

  it("tells what was read once it is worth a message, and nothing of what was not", async () => {
    using end = byHand();
    for (let i = 0; i < 3; i++) {
      const { buffer } = new Uint8Array(50_000);
      end.port.postMessage(buffer, [buffer]);
    }
    assertEquals((await end.connection.read())!.length, 50_000);
    await turn();
    assertEquals(end.heard, []);
    await end.connection.read();
    await until(() => end.heard.length === 1);
    assertEquals(end.heard, [2 * 50_256]);
    await turn();
    assertEquals(end.heard.length, 1);
  });

  const FOREIGN: [name: string, post: (port: MessagePort) => void, what: string][] = [
    ["an object", (port) => port.postMessage({ hello: 1 }), "a message of type object came"],
    ["a text", (port) => port.postMessage("hello"), "a message of type string came"],
    ["null", (port) => port.postMessage(null), "a message of type object came"],
    ["a view of bytes", (port) => port.postMessage(new Uint8Array(3)), "a message of type object came"],
    ["no bytes", (port) => port.postMessage(new ArrayBuffer(0)), "bytes where there may be none came"],
    ["a number of what was never sent", (port) => port.postMessage(1), "a message of type number came"],
    ["a negative number", (port) => port.postMessage(-1), "a message of type number came"],
    ["a fraction", (port) => port.postMessage(0.5), "a message of type number came"],
    ["more bytes than may be under way", (port) => {
      for (let i = 0; i < 5; i++) port.postMessage(new ArrayBuffer(60_000));
    }, "more than the other end may send came"],
    ["too many small messages", (port) => {
      for (let i = 0; i < 1_100; i++) port.postMessage(new ArrayBuffer(1));
    }, "more than the other end may send came"],
  ];
  for (const [name, post, what] of FOREIGN) {
    it(`ends when ${name} was posted, with an error that says so, and tells the other end`, async () => {
      using end = byHand();
      post(end.port);
      await until(() => end.heard.includes("reset"));
      let error: unknown = undefined;
      // What came before can still be read.
      while (error === undefined) await end.connection.read().catch((failed) => error = failed);
      assertInstanceOf(error, ConnectionError);
      assertEquals(error.code, "network-error");
      assertStringIncludes(
        error.message,
        `Cannot read from the message port: ${what}; both ends must use fromMessagePo`,
      );
      const writing = await end.connection.write(new Uint8Array(1)).catch((error) => error);
      assertEquals(writing, error);
      assertEquals(await end.connection.closed, error);
      assertEquals(end.heard, ["reset"]);
    });
  }

  it("ends when anything but a number follows the end of the other side", async () => {
    for (const more of [new ArrayBuffer(1), "fin"]) {
      using end = byHand();
      end.port.postMessage("fin");
      assertEquals(await end.connection.read(), null);
      end.port.postMessage(more);
      await until(() => end.heard.includes("reset"));
      const error = await end.connection.write(new Uint8Array(1)).catch((error) => error);
      assertInstanceOf(error, ConnectionError);
    }
  });

  it("is reset when the other end is, after what came before", async () => {
    using end = byHand();
    const writing = end.connection.write(new Uint8Array(1 << 20)).catch((error) => error);
    end.port.postMessage(new ArrayBuffer(7));
    end.port.postMessage("reset");
    assertEquals((await end.connection.read())!.length, 7);
    assertEquals((await failure(end.connection)).code, "reset");
    assertEquals((await writing).code, "reset");
    assertEquals(((await end.connection.closed) as ConnectionError).code, "reset");
  });

  it("is reset when the port is closed at the other end, and closes its own when it is over", async () => {
    using end = byHand();
    const reading = failure(end.connection);
    await turn();
    end.port.close();
    assertEquals((await limited("the end", 20_000, reading)).code, "reset");
    const closing = byHand();
    const gone = new Promise((resolve) => closing.port.addEventListener("close", resolve));
    closing.connection.abort();
    await limited("the close of the port", 20_000, gone);
    assertEquals(closing.heard, ["reset"]);
  });

  it("closes the port after a clean end, and the other end gets all of it", async () => {
    const { port1, port2 } = new MessageChannel();
    const [here, there] = [fromMessagePort(port1), fromMessagePort(port2)];
    const gone = new Promise((resolve) => port2.addEventListener("close", resolve));
    await here.write(new Uint8Array(100_000));
    await here.closeWrite();
    await there.closeWrite();
    assertEquals(await here.read(), null);
    assertEquals(await here.closed, undefined);
    await limited("the close of the port", 20_000, gone);
    let size = 0;
    for (let chunk = await there.read(); chunk !== null; chunk = await there.read()) size += chunk.length;
    assertEquals(size, 100_000);
    assertEquals(await there.closed, undefined);
  });

  it("listens no longer when it is over, and never closes what is no port: a worker goes on", async () => {
    const listeners = new Map<string, unknown>();
    const posted: unknown[] = [];
    let closed = 0;
    const worker = {
      postMessage: (message: unknown) => void posted.push(message),
      addEventListener: (type: string, listener: unknown) => void listeners.set(type, listener),
      removeEventListener: (type: string, listener: unknown) =>
        listeners.get(type) === listener && listeners.delete(type),
      close: () => closed++,
    };
    const connection = fromMessagePort(worker as MessagePortLike);
    assertEquals([...listeners.keys()], ["message", "messageerror", "close", "exit"]);
    connection.abort();
    assertEquals([listeners.size, closed, posted], [0, 0, ["reset"]]);
    await connection.closed;
  });

  it("ends when a message cannot be read", async () => {
    const listeners = new Map<string, (event: object) => void>();
    const port = {
      postMessage(): void {},
      addEventListener: (type: string, listener: (event: object) => void) => void listeners.set(type, listener),
    };
    const connection = fromMessagePort(port);
    listeners.get("messageerror")!({});
    assertStringIncludes((await failure(connection)).message, "a message that cannot be read came");
  });

  it("talks to a thread through the Worker itself, and is reset when it ends", async () => {
    const worker = new Worker(
      `const { parentPort } = process.getBuiltinModule("node:worker_threads");
       parentPort.on("message", (data) => {
         if (data instanceof ArrayBuffer) parentPort.postMessage(data, [data]);
         else if (data === "fin") process.exit(0);
       });`,
      { eval: true },
    );
    const connection = fromMessagePort(worker as MessagePortLike);
    await connection.write(Uint8Array.of(1, 2, 3));
    assertEquals(await limited("the echo", 20_000, connection.read()), Uint8Array.of(1, 2, 3));
    const reading = failure(connection);
    await connection.closeWrite();
    assertEquals((await limited("the end", 20_000, reading)).code, "reset");
    assert(await soon(() => true));
  });
});
