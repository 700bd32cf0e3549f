/**
 * The one suite that every transport passes, whatever runtime it is for. An adapter's own test file calls
 * {@linkcode conformance} and says with {@linkcode Capabilities} what cannot apply to it.
 *
 * @module
 */

import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Buffer } from "node:buffer";
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect as connectRaw, createServer as createRawServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runtimeLoop } from "../src/adapters/runtime_loop.ts";
import { toStreams } from "../src/adapters/web_streams.ts";
import { addressText } from "../src/base/address.ts";
import { ConnectionError } from "../src/errors.ts";
import type { Address, TcpEndpoint } from "../src/base/address.ts";
import type { ChunkReader, Connection, EventLoop, Listener, Transport } from "../src/transport.ts";
import { POSIX } from "./posix.ts";

/** What a transport can do. */
export interface Capabilities {
  /** Real sockets, so that other programs can be the peer. */
  readonly network: boolean;
  /** Each read returns at most `bufferSize` bytes. */
  readonly bufferSize: boolean;
  /** A connection that nobody reads slows the peer down. @default true */
  readonly pauses?: boolean;
  /** Waits until the sockets of a test are closed, if that takes longer than the test. */
  readonly rest?: () => Promise<void>;
  /** The end that has connected knows its own address. @default true */
  readonly knowsItself?: boolean;
  /** Where the factory is, for a program of its own. Without it that test is left out. */
  readonly program?: { readonly url: string; readonly factory: string };
}

const HOST = "127.0.0.1";
const ANYWHERE = { hostname: HOST, port: 0 };
const DEADLINE = 50_000;
/** Where the runtime's own event loop is, for a program of its own. */
const LOOP = new URL("../src/adapters/runtime_loop.ts", import.meta.url).href;

/** A URL, what was pasted with a space or a port, empty and too long labels, what only looks like an address, and so on. */
const IMPOSSIBLE_NAMES = [
  "http://127.0.0.1",
  "127.0.0.1 ",
  "127.0.0.1:80",
  "user@host",
  "a..b",
  "k\u00e4se.test",
  `${"x".repeat(64)}.test`,
  "x".repeat(300),
  "256.1.1.1",
  "1.2.3.4.5",
  "%",
  "a\0b",
];

/** Registers the suite. */
export function conformance(name: string, make: () => Transport, capabilities: Capabilities): void {
  describe(`${name} transport`, () => {
    const test = (title: string, fn: (transport: Transport) => Promise<void>) =>
      it(title, () => inTime(fn(make()).then(capabilities.rest)));
    basics(test, capabilities);
    ends(test);
    pressure(test, capabilities);
    listening(test, capabilities);
    failures(test, capabilities);
    streams(test, capabilities);
    turns(test);
    if (capabilities.network) {
      network(test);
      if (POSIX) unixSockets(test);
    }
    if (capabilities.program) programs(test, capabilities.program);
  });
}

/** The event loop that a Server or a Client with this transport lives by. */
function loopOf(transport: Transport): EventLoop {
  return transport.eventLoop ?? runtimeLoop();
}

type Test = (title: string, fn: (transport: Transport) => Promise<void>) => void;

/** Checks the address that the end that has connected shows of itself. */
function assertLocal(client: Connection, expected: Address, { knowsItself = true }: Capabilities): void {
  assertEquals(client.local, knowsItself ? expected : { hostname: "", port: 0 });
}

function basics(test: Test, capabilities: Capabilities): void {
  const { bufferSize } = capabilities;
  test("both ends show the same two addresses", async (transport) => {
    await using pair = await open(transport);
    assertEquals(pair.client.remote, pair.listener.address);
    assertEquals(pair.server.local, pair.listener.address);
    assertLocal(pair.client, pair.server.remote, capabilities);
    assert((pair.server.remote as TcpEndpoint).port > 0);
    assertEquals((pair.server.remote as TcpEndpoint).hostname, HOST);
  });

  test("both ends still show them when it is over", async (transport) => {
    await using pair = await open(transport);
    const { hostname } = pair.listener.address as TcpEndpoint;
    pair.client.abort();
    await Promise.all([pair.client.closed, ended(pair.server)]);
    pair.server.abort();
    await pair.server.closed;
    assertEquals([pair.client.remote, pair.server.local], [pair.listener.address, pair.listener.address]);
    assertLocal(pair.client, pair.server.remote, capabilities);
    assertEquals((pair.server.remote as TcpEndpoint).hostname, hostname);
  });

  test("what is written comes back, as plain Uint8Arrays", async (transport) => {
    await using pair = await open(transport);
    const echoing = echo(pair.server);
    for (const size of [1, 63, 1000, 1024, 1025, 70_000, 2, 300_000]) {
      const sent = noise(size, size);
      await pair.client.write(sent);
      const { bytes, chunks } = await readExactly(pair.client, size);
      assertEquals(bytes, sent);
      for (const chunk of chunks) assertStrictEquals(Object.getPrototypeOf(chunk), Uint8Array.prototype);
    }
    await pair.client.closeWrite();
    assertEquals(await pair.client.read(), null);
    await echoing;
  });

  test("32 MiB in random pieces cross 32 MiB the other way, intact", async (transport) => {
    await using pair = await open(transport);
    const size = 32 << 20;
    const up = noise(size, 1);
    const down = noise(size, 2);
    const [atServer, atClient] = await Promise.all([
      readAll(pair.server),
      readAll(pair.client),
      writePieces(pair.client, up, 3).then(() => pair.client.closeWrite()),
      writePieces(pair.server, down, 4).then(() => pair.server.closeWrite()),
    ]);
    assertSame(atServer, up);
    assertSame(atClient, down);
    assertEquals(await pair.client.closed, undefined);
    assertEquals(await pair.server.closed, undefined);
  });

  test("one buffer can be used again and again when its write has settled", async (transport) => {
    await using pair = await open(transport);
    const buffer = new Uint8Array(40_000);
    const reading = readExactly(pair.server, 200 * buffer.length);
    for (let round = 0; round < 200; round++) {
      buffer.fill(round);
      await pair.client.write(buffer);
    }
    const { bytes } = await reading;
    for (let round = 0; round < 200; round++) {
      const part = bytes.subarray(round * buffer.length, (round + 1) * buffer.length);
      assert(isSame(part, buffer.fill(round)), `round ${round} was overwritten`);
    }
  });

  test("a chunk that was read is never written again", async (transport) => {
    await using pair = await open(transport);
    const kept: Uint8Array[] = [];
    const copies: Uint8Array[] = [];
    for (let round = 0; round < 300; round++) {
      await pair.client.write(noise(1 + (round * 37) % 3000, round));
      const { chunks } = await readExactly(pair.server, 1 + (round * 37) % 3000);
      for (const chunk of chunks) {
        kept.push(chunk);
        copies.push(chunk.slice());
      }
    }
    assertEquals(kept, copies);
  });

  test("a chunk that was given back may be written again, and no other", async (transport) => {
    await using pair = await open(transport);
    const kept: Uint8Array[] = [];
    const copies: Uint8Array[] = [];
    for (let round = 0; round < 200; round++) {
      const sent = noise(round % 3 === 0 ? 200_000 : 1 + (round * 37) % 3000, round);
      const writing = pair.client.write(sent);
      for (let at = 0; at < sent.length;) {
        const chunk = (await pair.server.read())!;
        const wanted = sent.subarray(at, at += chunk.length);
        assert(isSame(chunk, wanted), `round ${round} arrived changed`);
        if ((round + kept.length) % 4 > 0) pair.server.recycle?.(chunk);
        else {
          kept.push(chunk);
          copies.push(chunk.slice());
        }
      }
      await writing;
    }
    assert(kept.length > 20);
    for (const [i, chunk] of kept.entries()) assert(isSame(chunk, copies[i]), `kept ${i}`);
  });

  test("readTo() hands over what read() would, to a reader that goes on by itself", async (transport) => {
    await using pair = await open(transport);
    const sent = noise(300_000, 14);
    const received = new Promise<Uint8Array[]>((resolve, reject) => {
      const chunks: Uint8Array[] = [];
      const reader: ChunkReader = {
        received(chunk, error): void {
          if (error !== undefined) reject(error);
          else if (chunk === null) resolve(chunks);
          else {
            chunks.push(chunk);
            pair.server.readTo!(reader);
          }
        },
      };
      pair.server.readTo!(reader);
    });
    await pair.client.write(sent);
    await pair.client.closeWrite();
    assertEquals(concat(await received), sent);
    const after: unknown[] = [];
    pair.server.readTo!({ received: (chunk, error) => void after.push(chunk, error) });
    assertEquals(after, [null, undefined]);
    assertEquals(await pair.server.read(), null);
  });

  test("readTo() tells of an error later, neither within its own call nor within another", async (transport) => {
    await using pair = await open(transport);
    const told: unknown[] = [];
    const read = (): void => pair.server.readTo!({ received: (_, error) => void told.push(error) });
    const reason = new Error("enough");
    read();
    read();
    assertEquals(told, []);
    await Promise.resolve();
    assertInstanceOf(told.pop(), TypeError);
    pair.server.abort(reason);
    assertEquals(told, []);
    read();
    assertEquals(told, []);
    await Promise.resolve();
    assertEquals(told, [reason, reason]);
  });

  test("writeTo() sends what write() would, for a writer that goes on by itself", async (transport) => {
    await using pair = await open(transport);
    const { client, server } = pair;
    const sent = noise(2_000_000, 15);
    const sizes = [0, 1, 70_000, 300_000, 64];
    let at = 0;
    let calls = 0;
    const written = new Promise<void>((resolve, reject) => {
      const next = (): void => {
        if (at === sent.length) return resolve();
        const chunk = sent.subarray(at, at = Math.min(at + sizes[calls++ % sizes.length], sent.length));
        client.writeTo!(chunk, { taken: (error) => error === undefined ? queueMicrotask(next) : reject(error) });
      };
      next();
    });
    assertSame((await readExactly(server, sent.length)).bytes, sent);
    await written;
    assert(calls > 20);
    await client.closeWrite();
    assertEquals(await server.read(), null);
  });

  test("writeTo() tells of an error later, never within its own call nor within another", async (transport) => {
    await using pair = await open(transport);
    const { client } = pair;
    const told: unknown[] = [];
    const write = (bytes: Uint8Array): void => client.writeTo!(bytes, { taken: (error) => void told.push(error) });
    const reason = new Error("enough");
    // More than any socket takes, so that it is still in flight.
    write(new Uint8Array(64 << 20));
    assertEquals(told, []);
    write(new Uint8Array(1));
    assertEquals(told, []);
    await Promise.resolve();
    assertInstanceOf(told.pop(), TypeError);
    client.abort(reason);
    assertEquals(told, []);
    write(new Uint8Array(1));
    assertEquals(told, []);
    await Promise.resolve();
    assertEquals(told, [reason, reason]);
  });

  test("closeWrite() waits for what writeTo() has begun, and nothing is written after it", async (transport) => {
    await using pair = await open(transport);
    const { client, server } = pair;
    const sent = noise(8 << 20, 16);
    const told: unknown[] = [];
    client.writeTo!(sent, { taken: (error) => void told.push(error) });
    const closing = client.closeWrite();
    client.writeTo!(new Uint8Array(1), { taken: (error) => void told.push(error) });
    assertSame((await readExactly(server, sent.length)).bytes, sent);
    assertEquals(await server.read(), null);
    await closing;
    assertEquals(told.length, 2);
    const [refusal, error] = told[0] === undefined ? [told[1], told[0]] : told;
    assertInstanceOf(refusal, Error);
    assertEquals(error, undefined);
  });

  test("a view into a larger buffer sends only itself", async (transport) => {
    await using pair = await open(transport);
    const whole = noise(1000, 5);
    await pair.client.write(whole.subarray(100, 200));
    assertEquals((await readExactly(pair.server, 100)).bytes, whole.subarray(100, 200));
    await pair.client.closeWrite();
    assertEquals(await pair.server.read(), null);
  });

  test("a second read or write at a time is a TypeError and does not disturb the first", async (transport) => {
    await using pair = await open(transport);
    const first = pair.server.read();
    await assertRejects(() => pair.server.read(), TypeError, "one read at a time");
    await pair.client.write(new Uint8Array([7]));
    assertEquals(await first, new Uint8Array([7]));
    const large = noise(32 << 20, 6);
    const writing = pair.client.write(large);
    await assertRejects(() => pair.client.write(new Uint8Array(1)), TypeError, "one write at a time");
    assertSame((await readExactly(pair.server, large.length)).bytes, large);
    await writing;
  });

  test("writing nothing settles and sends nothing", async (transport) => {
    await using pair = await open(transport);
    await pair.client.write(new Uint8Array(0));
    await pair.client.write(new Uint8Array([1]));
    assertEquals(await pair.server.read(), new Uint8Array([1]));
  });

  if (bufferSize) {
    test("a read returns no more than bufferSize bytes, at either end", async (transport) => {
      await using pair = await open(transport, { bufferSize: 100 });
      for (const [from, to] of [[pair.client, pair.server], [pair.server, pair.client]] as const) {
        const sent = noise(5000, 7);
        await from.write(sent);
        const { bytes, chunks } = await readExactly(to, sent.length);
        assertEquals(bytes, sent);
        assert(chunks.every((chunk) => chunk.length <= 100));
      }
    });
  }
}

function ends(test: Test): void {
  test("after a half-close, the other direction goes on, either way round", async (transport) => {
    for (const first of ["client", "server"] as const) {
      await using pair = await open(transport);
      const [early, late] = first === "client" ? [pair.client, pair.server] : [pair.server, pair.client];
      await early.closeWrite();
      assertEquals(await late.read(), null);
      assertEquals(await late.read(), null);
      const sent = noise(1 << 20, 8);
      const [received] = await Promise.all([readAll(early), late.write(sent).then(() => late.closeWrite())]);
      assertSame(received, sent);
      assertEquals(await early.read(), null);
      assertEquals(await late.read(), null);
      assertEquals(await early.closed, undefined);
      assertEquals(await late.closed, undefined);
    }
  });

  test("what is sent right before FIN arrives before it", async (transport) => {
    await using pair = await open(transport);
    for (const size of [10, 3 << 20]) {
      await using pair = await open(transport);
      const sent = noise(size, 9);
      const writing = pair.server.write(sent);
      const closing = pair.server.closeWrite();
      assertSame(await readAll(pair.client), sent);
      await Promise.all([writing, closing]);
    }
    await pair.client.closeWrite();
  });

  test("what is sent before the first read is kept, and so is FIN", async (transport) => {
    await using listener = await transport.listen(ANYWHERE);
    const client = await transport.connect(listener.address);
    await client.write(noise(5000, 10));
    await client.closeWrite();
    await pause(20);
    const server = await accept(listener);
    await server.write(noise(5000, 11));
    await server.closeWrite();
    await pause(20);
    assertEquals(await readAll(server), noise(5000, 10));
    assertEquals(await readAll(client), noise(5000, 11));
    assertEquals([await client.closed, await server.closed], [undefined, undefined]);
  });

  test("closeWrite() is idempotent, also at once; writing after it rejects with closed", async (transport) => {
    await using pair = await open(transport);
    await Promise.all([pair.client.closeWrite(), pair.client.closeWrite(), pair.client.closeWrite()]);
    await pair.client.closeWrite();
    await rejectsWith("closed", pair.client.write(new Uint8Array(1)));
    assertEquals(await pair.server.read(), null);
  });

  test("abort() rejects a pending read and write with its reason, and all later ones", async (transport) => {
    await using pair = await open(transport);
    const reason = new Error("enough");
    const reading = pair.client.read();
    const writing = fill(pair.client);
    await pause(20);
    pair.client.abort(reason);
    pair.client.abort(new Error("too late"));
    assertStrictEquals(await reading.catch((error) => error), reason);
    assertStrictEquals(await writing.catch((error) => error), reason);
    assertStrictEquals(await pair.client.closed, reason);
    assertStrictEquals(await pair.client.read().catch((error) => error), reason);
    assertStrictEquals(await pair.client.write(new Uint8Array(1)).catch((error) => error), reason);
    assertStrictEquals(await pair.client.closeWrite().catch((error) => error), reason);
  });

  test("abort() rejects a closeWrite() that waits for a write", async (transport) => {
    await using pair = await open(transport);
    const writing = pair.client.write(new Uint8Array(64 << 20));
    const closing = pair.client.closeWrite();
    const reason = new Error("enough");
    pair.client.abort(reason);
    assertStrictEquals(await writing.catch((error) => error), reason);
    assertStrictEquals(await closing.catch((error) => error), reason);
  });

  test("abort() without a reason is a ConnectionError closed", async (transport) => {
    await using pair = await open(transport);
    const reading = pair.client.read();
    pair.client.abort();
    await rejectsWith("closed", reading);
    const error = await pair.client.closed;
    assertInstanceOf(error, ConnectionError);
    assertEquals(error.code, "closed");
  });

  test("abort() with everything read shows the peer an end, after what was sent", async (transport) => {
    await using pair = await open(transport);
    await pair.client.write(noise(100, 12));
    pair.client.abort();
    assertEquals((await readExactly(pair.server, 100)).bytes, noise(100, 12));
    await ended(pair.server);
  });

  test("abort() before what came was read ends the peer, too", async (transport) => {
    await using pair = await open(transport);
    await pair.server.write(noise(100, 13));
    await pause(10);
    pair.client.abort();
    await ended(pair.server);
  });

  test("abort() after a clean end does nothing", async (transport) => {
    await using pair = await open(transport);
    await Promise.all([pair.client.closeWrite(), pair.server.closeWrite()]);
    assertEquals([await pair.client.read(), await pair.server.read()], [null, null]);
    assertEquals(await pair.client.closed, undefined);
    pair.client.abort(new Error("too late"));
    assertEquals(await pair.client.closed, undefined);
    assertEquals(await pair.client.read(), null);
    await rejectsWith("closed", pair.client.write(new Uint8Array(1)));
    await pair.client.closeWrite();
  });

  test("closed stays pending while one direction is open", async (transport) => {
    await using pair = await open(transport);
    await pair.client.closeWrite();
    assertEquals(await pair.server.read(), null);
    assertEquals(await settled(Promise.race([pair.client.closed, pair.server.closed]), 20), false);
  });

  test("writing to a peer that is gone rejects with reset in the end", async (transport) => {
    await using pair = await open(transport);
    pair.client.abort();
    const error = await (async () => {
      for (;;) await pair.server.write(new Uint8Array(1000)).then(() => pause(1));
    })().catch((error) => error);
    assertInstanceOf(error, ConnectionError);
    assertEquals(error.code, "reset");
    // What follows is an end: the peer's FIN if it was seen before, else the error.
    const last = await pair.server.read().catch((error) => error);
    if (last !== null) assertEquals(last.code, "reset");
  });
}

function pressure(test: Test, { pauses = true }: Capabilities): void {
  if (pauses) {
    test("a peer that does not read makes write() wait, within bounds, and abort() rejects it", async (transport) => {
      await using pair = await open(transport);
      const piece = new Uint8Array(65536);
      let taken = 0;
      const writing = (async () => {
        for (;;) {
          await pair.client.write(piece);
          taken += piece.length;
        }
      })().catch((error) => error);
      let before = -1;
      while (before !== taken) {
        before = taken;
        await pause(50);
      }
      assert(taken < 32 << 20, `${taken} bytes were taken`);
      const reason = new Error("enough");
      pair.client.abort(reason);
      assertStrictEquals(await writing, reason);
    });
  }

  if (pauses) {
    test("reading on after a pause gets everything, and lets the peer write on", async (transport) => {
      await using pair = await open(transport);
      const sent = noise(24 << 20, 14);
      const writing = writePieces(pair.client, sent, 15).then(() => pair.client.closeWrite());
      assertEquals(await settled(writing, 100), false);
      const first = await pair.server.read();
      assertEquals(await settled(writing, 50), false);
      const rest = await readAll(pair.server);
      await writing;
      assertSame(concat([first!, rest]), sent);
    });
  }

  test("200 connections at once each keep their own bytes", async (transport) => {
    await using listener = await transport.listen(ANYWHERE);
    const serving = (async () => {
      const echoes: Promise<void>[] = [];
      for await (const server of listener) echoes.push(echo(server).then(() => server.closeWrite()));
      await Promise.all(echoes);
    })();
    await Promise.all(Array.from({ length: 200 }, async (_, index) => {
      const client = await transport.connect(listener.address);
      const sent = noise(3000 + index, index);
      await client.write(sent);
      await client.closeWrite();
      assertEquals(await readAll(client), sent);
      assertEquals(await client.closed, undefined);
    }));
    await listener.close();
    await serving;
  });
}

function listening(test: Test, capabilities: Capabilities): void {
  test("closing ends the iteration, waiting or not, and is idempotent", async (transport) => {
    const listener = await transport.listen(ANYWHERE);
    const iterating = (async () => {
      for await (const connection of listener) connection.abort();
      return "done";
    })();
    await pause(5);
    await Promise.all([listener.close(), listener.close()]);
    await listener.close();
    await listener[Symbol.asyncDispose]();
    assertEquals(await iterating, "done");
    for await (const connection of listener) connection.abort();
  });

  test("connections live on when their listener closes, and the port is free at once", async (transport) => {
    await using pair = await open(transport);
    await pair.listener.close();
    await rejectsWith("refused", transport.connect(pair.listener.address));
    const again = await transport.listen(pair.listener.address);
    assertEquals(again.address, pair.listener.address);
    await pair.listener.close();
    const other = await transport.connect(again.address);
    const accepted = await accept(again);
    other.abort();
    accepted.abort();
    await pair.client.write(new Uint8Array([1]));
    assertEquals(await pair.server.read(), new Uint8Array([1]));
    await again.close();
  });

  test("leaving the loop keeps what comes later for the next loop", async (transport) => {
    await using listener = await transport.listen(ANYWHERE);
    const clients: Connection[] = [];
    for (let round = 0; round < 3; round++) {
      const client = await transport.connect(listener.address);
      clients.push(client);
      for await (const server of listener) {
        assertLocal(client, server.remote, capabilities);
        server.abort();
        break;
      }
    }
    for (const client of clients) client.abort();
  });

  test("closing ends the connections that nobody took", async (transport) => {
    const listener = await transport.listen(ANYWHERE);
    const client = await transport.connect(listener.address);
    await pause(10);
    await listener.close();
    await ended(client);
  });
}

function failures(test: Test, capabilities: Capabilities): void {
  const { network } = capabilities;
  test("connecting where nobody listens is refused", async (transport) => {
    const listener = await transport.listen(ANYWHERE);
    const { port } = listener.address as TcpEndpoint;
    await listener.close();
    const error = await rejectsWith("refused", transport.connect({ hostname: HOST, port }));
    assertEquals(error.message, `Cannot connect to "${HOST}:${port}": the connection was refused`);
    assertInstanceOf(error.cause, Error);
  });

  test("listening where somebody listens is address-in-use", async (transport) => {
    await using listener = await transport.listen(ANYWHERE);
    const { port } = listener.address as TcpEndpoint;
    const error = await rejectsWith("address-in-use", transport.listen({ hostname: HOST, port }));
    assertEquals(error.message, `Cannot listen at "${HOST}:${port}": the address is in use`);
    assertInstanceOf(error.cause, Error);
  });

  test("a host name that does not exist is unresolvable", async (transport) => {
    const error = await rejectsWith("unresolvable", transport.connect({ hostname: "no.such.host.invalid", port: 9 }));
    assertEquals(error.message, 'Cannot connect to "no.such.host.invalid:9": the host name cannot be resolved');
    await rejectsWith("unresolvable", transport.listen({ hostname: "no.such.host.invalid", port: 0 }));
  });

  if (network) {
    // A memory network takes any name.
    test("a host name that cannot be one is unresolvable, to connect to and to listen at", async (transport) => {
      for (const hostname of IMPOSSIBLE_NAMES) {
        const at = { hostname, port: 9 };
        for (const verb of ["connect", "listen"] as const) {
          const error = await rejectsWith("unresolvable", transport[verb](at));
          assertEquals(
            error.message,
            `Cannot ${verb} ${verb === "connect" ? "to" : "at"} "${addressText(at)}": the host name cannot be resolved`,
          );
          assert(error.cause instanceof Error, "the runtime's own error is missing");
        }
      }
    });

    test("listening at an address of another machine is address-unavailable", async (transport) => {
      await rejectsWith("address-unavailable", transport.listen({ hostname: "192.0.2.7", port: 0 }));
    });
  }

  test("wrong arguments are named", async (transport) => {
    const refuses = async (
      endpoint: unknown,
      type: typeof TypeError | typeof RangeError,
      part: string,
      options = {},
    ) => {
      await assertRejects(() => transport.connect(endpoint as never, options), type, part);
      await assertRejects(() => transport.listen(endpoint as never, options), type, part);
    };
    for (const port of [-1, 65536, 1.5, NaN]) await refuses({ hostname: HOST, port }, RangeError, '"port"');
    await assertRejects(() => transport.connect({ hostname: HOST, port: 0 }), RangeError, '"port"');
    await refuses({ hostname: HOST, port: "80" }, TypeError, '"port"');
    await refuses({ hostname: HOST }, TypeError, '"port"');
    await refuses({ hostname: "", port: 80 }, TypeError, '"hostname"');
    await refuses({ port: 80 }, TypeError, '"hostname"');
    await refuses({ path: "" }, TypeError, '"path"');
    await refuses({ path: 5 }, TypeError, '"path"');
    for (const bufferSize of [0, -1, 1.5, NaN]) {
      await refuses({ hostname: HOST, port: 80 }, RangeError, '"bufferSize"', { bufferSize });
    }
  });

  test("a signal aborted before connect() rejects with its reason and does not connect", async (transport) => {
    await using listener = await transport.listen(ANYWHERE);
    for (const reason of [new Error("changed my mind"), "a string"]) {
      const signal = AbortSignal.abort(reason);
      assertStrictEquals(await transport.connect(listener.address, { signal }).catch((error) => error), reason);
    }
    // The first to be accepted is the one made after them.
    const client = await transport.connect(listener.address);
    const server = await accept(listener);
    assertLocal(client, server.remote, capabilities);
    client.abort();
    server.abort();
  });

  test("a signal aborted during connect() rejects with its reason and leaves no socket", async (transport) => {
    await using listener = await transport.listen(ANYWHERE);
    const reason = new Error("changed my mind");
    for (let round = 0; round < 20; round++) {
      const controller = new AbortController();
      const connecting = transport.connect(listener.address, { signal: controller.signal });
      if (round % 2) await null;
      controller.abort(reason);
      assertStrictEquals(await connecting.catch((error) => error), reason);
    }
    const client = await transport.connect(listener.address);
    await client.write(new Uint8Array([1]));
    for await (const server of listener) {
      // Nothing but an end comes from those that were given up.
      const ours = await server.read().catch(() => null) !== null;
      if (!ours) await ended(server);
      server.abort();
      if (ours) break;
    }
    client.abort();
  });

  test("a signal aborted after connect() means nothing", async (transport) => {
    await using listener = await transport.listen(ANYWHERE);
    const controller = new AbortController();
    const client = await transport.connect(listener.address, { signal: controller.signal });
    controller.abort();
    const server = await accept(listener);
    await client.write(new Uint8Array([1]));
    assertEquals(await server.read(), new Uint8Array([1]));
    client.abort();
    server.abort();
  });
}

function streams(test: Test, { pauses = true }: Capabilities): void {
  test("8 MiB through readable.pipeTo(writable) come back intact", async (transport) => {
    await using pair = await open(transport);
    const { readable, writable } = toStreams(pair.server);
    const client = toStreams(pair.client);
    const piping = readable.pipeTo(writable);
    const sent = noise(8 << 20, 16);
    const writer = client.writable.getWriter();
    const writing = (async () => {
      for (let at = 0; at < sent.length; at += 50_000) {
        await writer.ready;
        writer.write(sent.subarray(at, at + 50_000)).catch(() => {});
      }
      await writer.close();
    })();
    const received: Uint8Array[] = [];
    for await (const chunk of client.readable) received.push(chunk);
    await Promise.all([writing, piping]);
    assertSame(concat(received), sent);
    assertEquals([await pair.client.closed, await pair.server.closed], [undefined, undefined]);
  });

  if (pauses) {
    test("a writable stream waits for a peer that does not read", async (transport) => {
      await using pair = await open(transport);
      const writer = toStreams(pair.client).writable.getWriter();
      let taken = 0;
      const writing = (async () => {
        for (; taken < 64 << 20; taken += 65536) {
          await writer.ready.then(() => void writer.write(new Uint8Array(65536)).catch(() => {}));
        }
      })().catch(() => {});
      let before = -1;
      while (before !== taken) {
        before = taken;
        await pause(50);
      }
      assert(taken < 32 << 20, `${taken} bytes were taken`);
      const reason = new Error("enough");
      await writer.abort(reason).catch(() => {});
      await writing;
      assertStrictEquals(await pair.client.closed, reason);
    });
  }

  if (pauses) {
    test("a readable stream that nobody reads slows the peer down", async (transport) => {
      await using pair = await open(transport);
      const { readable } = toStreams(pair.server);
      const writing = pair.client.write(new Uint8Array(32 << 20));
      assertEquals(await settled(writing, 100), false);
      pair.client.abort();
      await writing.catch(() => {});
      await readable.cancel();
    });
  }

  test("cancelling readable aborts", async (transport) => {
    await using pair = await open(transport);
    const reason = new Error("enough");
    await toStreams(pair.client).readable.cancel(reason);
    assertStrictEquals(await pair.client.closed, reason);
    await ended(pair.server);
  });

  test("cancelling a readable that waits aborts, with any reason", async (transport) => {
    await using pair = await open(transport);
    const reader = toStreams(pair.client).readable.getReader();
    const reading = reader.read();
    await reader.cancel("enough");
    assertEquals((await reading).done, true);
    const error = await pair.client.closed;
    assertInstanceOf(error, ConnectionError);
    assertEquals([error.code, error.cause], ["closed", "enough"]);
  });

  test("aborting the connection errors its streams", async (transport) => {
    await using pair = await open(transport);
    const reason = new Error("enough");
    const { readable, writable } = toStreams(pair.client);
    const reading = readable.getReader().read();
    const writer = writable.getWriter();
    writer.closed.catch(() => {});
    pair.client.abort(reason);
    assertStrictEquals(await reading.catch((error) => error), reason);
    assertStrictEquals(await writer.closed.catch((error) => error), reason);
  });
}

function turns(test: Test): void {
  test("defer() runs after what runs now, and before yield()", async (transport) => {
    const loop = loopOf(transport);
    for (const start of [(fn: () => void) => fn(), (fn: () => void) => void setTimeout(fn, 0)]) {
      const order: string[] = [];
      await new Promise<void>((resolve) =>
        start(() => {
          loop.yield(() => {
            order.push("yield");
            resolve();
          });
          loop.defer(() => order.push("defer"));
          order.push("now");
        })
      );
      assertEquals(order, ["now", "defer", "yield"]);
    }
  });

  test("defer() runs before bytes that come later are read", async (transport) => {
    const loop = loopOf(transport);
    await using pair = await open(transport);
    for (let round = 0; round < 20; round++) {
      await pair.client.write(new Uint8Array([round]));
      let deferred = false;
      const reading = pair.server.read();
      loop.defer(() => deferred = true);
      await reading;
      assert(deferred, `round ${round}`);
    }
  });

  test("deferred calls of one turn run together, before the next read settles", async (transport) => {
    const loop = loopOf(transport);
    await using pair = await open(transport);
    await pair.client.write(new Uint8Array([1]));
    assertEquals(await pair.server.read(), new Uint8Array([1]));
    const order: string[] = [];
    await Promise.resolve();
    loop.defer(() => order.push("first"));
    await Promise.resolve();
    loop.defer(() => order.push("second"));
    await pair.client.write(new Uint8Array([2]));
    await pair.server.read().then(() => order.push("read"));
    assertEquals(order, ["first", "second", "read"]);
  });

  test("yield() lets sockets and timers have their turn", async (transport) => {
    const loop = loopOf(transport);
    await using pair = await open(transport);
    const echoing = echo(pair.server);
    let back = 0;
    let fired = false;
    const timer = loop.clock.setTimeout(() => fired = true, 1);
    const client = (async () => {
      for (; back < 10; back++) {
        await pair.client.write(new Uint8Array([back]));
        await pair.client.read();
      }
    })();
    await new Promise<void>((resolve, reject) => {
      let left = 1_000_000;
      const spin = () => {
        if (back === 10 && fired) resolve();
        else if (left-- === 0) reject(new Error(`only ${back} echoes came, timer fired: ${fired}`));
        else loop.yield(spin);
      };
      spin();
    });
    await client;
    loop.clock.clearTimeout(timer);
    await pair.client.closeWrite();
    await echoing;
  });

  test("the clock goes forward, fires, and forgets", async (transport) => {
    const { clock } = loopOf(transport);
    const start = clock.now();
    let forgotten = true;
    const timer = clock.setTimeout(() => forgotten = false, 5);
    clock.unref(timer);
    clock.clearTimeout(timer);
    clock.clearTimeout(timer);
    await new Promise<void>((resolve) => clock.setTimeout(resolve, 20));
    assert(clock.now() - start >= 18);
    assert(forgotten);
  });
}

function network(test: Test): void {
  test("a reset by the peer rejects read, write, closeWrite and closed with reset", async (transport) => {
    await using raw = await rawPeer(transport);
    const reading = raw.connection.read();
    raw.socket.resetAndDestroy();
    const error = await rejectsWith("reset", reading);
    assert(error.message.startsWith("Cannot read from "), error.message);
    assertStrictEquals(await raw.connection.closed, error);
    assertStrictEquals(await raw.connection.write(new Uint8Array(1)).catch((error) => error), error);
    assertStrictEquals(await raw.connection.closeWrite().catch((error) => error), error);
    assertStrictEquals(await raw.connection.read().catch((error) => error), error);
  });

  test("what came before a reset is still read", async (transport) => {
    await using raw = await rawPeer(transport);
    const sent = noise(500, 17);
    await new Promise((resolve) => raw.socket.write(sent, resolve));
    await pause(30);
    raw.socket.resetAndDestroy();
    await pause(30);
    assertEquals((await readExactly(raw.connection, sent.length)).bytes, sent);
    await rejectsWith("reset", raw.connection.read());
  });

  test("a pending write rejects with reset when the peer resets", async (transport) => {
    await using raw = await rawPeer(transport);
    const writing = fill(raw.connection);
    await pause(30);
    raw.socket.resetAndDestroy();
    await rejectsWith("reset", writing);
    await rejectsWith("reset", raw.connection.read());
    assertEquals(((await raw.connection.closed) as ConnectionError).code, "reset");
  });

  test("small writes go out at once: Nagle's algorithm is off at both ends", async (transport) => {
    await using pair = await open(transport);
    for (const [from, to] of [[pair.client, pair.server], [pair.server, pair.client]]) {
      const spent: number[] = [];
      for (let round = 0; round < 60; round++) {
        const start = performance.now();
        await from.write(new Uint8Array([1]));
        await from.write(new Uint8Array([2]));
        await readExactly(to, 2);
        await to.write(new Uint8Array([3]));
        await readExactly(from, 1);
        spent.push(performance.now() - start);
      }
      // With it, the second write of each round waits for a delayed acknowledgement, 40 ms. The first ones come at once.
      const least = Math.min(...spent.slice(20));
      assert(least < 35, `${least} ms at least`);
    }
  });

  test("IPv6 addresses and the name localhost work, where the machine has them", async (transport) => {
    for (const hostname of ["::1", "localhost"]) {
      const at = { hostname, port: 0 };
      const listener = await transport.listen(at).catch((error: ConnectionError) => error);
      if (listener instanceof Error) {
        assertEquals(listener.code, "address-unavailable");
        continue;
      }
      await listener.close();
      await using pair = await open(transport, {}, at);
      const { hostname: address } = pair.listener.address as TcpEndpoint;
      assert(["::1", "127.0.0.1"].includes(address), `listens at ${address}`);
      assertEquals([pair.client.remote, pair.server.local], [pair.listener.address, pair.listener.address]);
      await pair.client.write(new Uint8Array([1]));
      assertEquals(await pair.server.read(), new Uint8Array([1]));
    }
  });

  test("an IPv4 peer of a listener for both families has its IPv4 address, at both ends", async (transport) => {
    const listener = await transport.listen({ hostname: "::", port: 0 }).catch((error: ConnectionError) => error);
    if (listener instanceof Error) return assertEquals(listener.code, "address-unavailable");
    const { port } = listener.address as TcpEndpoint;
    const accepting = listener[Symbol.asyncIterator]().next();
    const client = await transport.connect({ hostname: "127.0.0.1", port });
    const server: Connection = (await accepting).value;
    assertEquals([server.remote, server.local], [client.local, { hostname: "127.0.0.1", port }]);
    assertEquals((client.local as TcpEndpoint).hostname, "127.0.0.1");
    client.abort();
    server.abort();
    await listener.close();
  });

  if (existsSync("/proc/self/fd")) {
    test("no file descriptor stays behind", async (transport) => {
      const count = () => readdirSync("/proc/self/fd").length;
      const before = count();
      for (let round = 0; round < 20; round++) {
        const pair = await open(transport);
        const reading = pair.server.read();
        if (round % 2) pair.client.abort();
        else await pair.client.closeWrite();
        assertEquals(await reading.catch(() => null), null);
        await pair[Symbol.asyncDispose]();
      }
      for (let wait = 0; count() > before + 5 && wait < 4_000; wait++) await pause(10);
      assert(count() <= before + 5, `${count()} are open, ${before} were`);
    });
  }
}

function unixSockets(test: Test): void {
  test("unix sockets carry bytes, have a path, and leave no file", async (transport) => {
    const folder = mkdtempSync(join(tmpdir(), "veltix-"));
    try {
      const path = join(folder, "a.sock");
      await using pair = await open(transport, {}, { path });
      assertEquals(pair.listener.address, { path });
      assertEquals([pair.client.local, pair.client.remote], [{ path: "" }, { path }]);
      assertEquals([pair.server.local, pair.server.remote], [{ path }, { path: "" }]);
      const sent = noise(2 << 20, 18);
      const writing = pair.client.write(sent).then(() => pair.client.closeWrite());
      assertSame(await readAll(pair.server), sent);
      await writing;
      await pair.server.write(new Uint8Array([1]));
      assertEquals(await pair.client.read(), new Uint8Array([1]));
      assertEquals((await rejectsWith("address-in-use", transport.listen({ path }))).message.includes(path), true);
      await pair.listener.close();
      for (let wait = 0; existsSync(path) && wait < 4_000; wait++) await pause(10);
      assert(!existsSync(path));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("a path without a socket, with a stale one, or in no folder is an error with a code", async (transport) => {
    await inFolder(async (folder) => {
      const path = join(folder, "stale.sock");
      await rejectsWith("refused", transport.connect({ path }));
      await makeStale(path);
      await rejectsWith("refused", transport.connect({ path }));
      await rejectsWith("address-unavailable", transport.listen({ path: join(folder, "none", "a.sock") }));
      await rejectsWith("address-unavailable", transport.listen({ path: join(folder, "x".repeat(200)) }));
    });
  });

  test("listening where the socket of a killed program lies replaces it, and nothing else stays there", async (transport) => {
    await inFolder(async (folder) => {
      const path = join(folder, "a.sock");
      await makeStale(path);
      await using pair = await open(transport, {}, { path });
      await pair.client.write(new Uint8Array([1]));
      assertEquals(await pair.server.read(), new Uint8Array([1]));
      assertEquals(readdirSync(folder), ["a.sock"]);
      // Whoever comes now is too late.
      await rejectsWith("address-in-use", transport.listen({ path }));
      (await transport.connect({ path })).abort();
    });
  });

  test("of two that listen at once where a stale socket lies, one does, and the other's is address-in-use", async (transport) => {
    await inFolder(async (folder) => {
      const path = join(folder, "a.sock");
      await makeStale(path);
      const results = await Promise.allSettled([transport.listen({ path }), transport.listen({ path })]);
      const listeners = results.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
      const codes = results.flatMap((result) => result.status === "rejected" ? [result.reason.code] : []);
      assertEquals([listeners.length, codes], [1, ["address-in-use"]]);
      const [client, server] = await Promise.all([transport.connect({ path }), accept(listeners[0])]);
      client.abort();
      server.abort();
      await listeners[0].close();
    });
  });

  test("a file, a folder and a link are no stale sockets", async (transport) => {
    await inFolder(async (folder) => {
      const [file, inner, link, stale] = ["file", "inner", "link", "stale"].map((name) => join(folder, name));
      writeFileSync(file, "mine");
      mkdirSync(inner);
      await makeStale(stale);
      symlinkSync(stale, link);
      for (const path of [file, inner, link]) await rejectsWith("address-in-use", transport.listen({ path }));
      assertEquals(readdirSync(folder).sort(), ["file", "inner", "link", "stale"]);
      assertEquals(readFileSync(file, "utf8"), "mine");
    });
  });

  if (process.platform === "linux") {
    test("the socket of a living program that stands still, its queue full, is not stale", async (transport) => {
      await inFolder(async (folder) => {
        const path = join(folder, "a.sock");
        const child = spawn(process.execPath, argsOf(standStill(`path: ${JSON.stringify(path)}`)), {
          stdio: ["ignore", "pipe", "inherit"],
        });
        await new Promise((resolve) => child.stdout.once("data", resolve));
        const fill: Socket[] = [];
        for (let full = false; !full;) {
          const socket = connectRaw(path);
          fill.push(socket);
          full = await new Promise((resolve) => {
            socket.once("connect", () => resolve(false)).once("error", () => resolve(true));
          });
        }
        await rejectsWith("address-in-use", transport.listen({ path }));
        assertEquals(readdirSync(folder), ["a.sock"]);
        const gone = new Promise((resolve) => child.once("exit", resolve));
        child.kill("SIGKILL");
        await gone;
        for (const socket of fill) socket.on("error", () => {}).destroy();
      });
    });

    test("a name that is no file belongs to whoever listens there", async (transport) => {
      const path = `\0veltix-${process.pid}-${transport.name}`;
      const listener = await transport.listen({ path });
      await rejectsWith("address-in-use", transport.listen({ path }));
      await listener.close();
    });
  }
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "veltix-"));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function programs(test: Test, { factory, url }: { url: string; factory: string }): void {
  const start = `
    const transport = (await import(${JSON.stringify(url)})).${factory}();
    const listener = await transport.listen({ hostname: "${HOST}", port: 0 });
    const accepting = listener[Symbol.asyncIterator]();
    const client = await transport.connect(listener.address);
    const server = (await accepting.next()).value;
    const { clock } = transport.eventLoop ?? (await import(${JSON.stringify(LOOP)})).runtimeLoop();
    const ignore = () => {};
    client.read().catch(ignore);
    accepting.next().catch(ignore);
  `;
  test("unref() lets a program end although all is open and waiting", async () => {
    const { code, output } = await run(`${start}
      listener.unref(); client.unref(); server.unref();
      server.read().catch(ignore);
      clock.unref(clock.setTimeout(ignore, 1e6));
      console.log("at the end");
    `);
    assertEquals([output.trim(), code], ["at the end", 0]);
  });

  // Linux shows what waits for an answer, and answers nobody who comes to a full queue.
  if (existsSync("/proc/net/tcp")) {
    test("an unanswered connect() that is given up holds neither a socket nor the program", async () => {
      await using mute = await muteServer();
      const { code, output } = await run(`
        import { readdirSync, readFileSync, readlinkSync } from "node:fs";
        const transport = (await import(${JSON.stringify(url)})).${factory}();
        const waits = () => {
          const unanswered = readFileSync("/proc/net/tcp", "utf8").split("\\n").filter((line) => line.includes("${mute.unanswered}"));
          const mine = readdirSync("/proc/self/fd").map((fd) => {
            try { return readlinkSync("/proc/self/fd/" + fd); } catch { return ""; }
          });
          return unanswered.some((line) => mine.includes("socket:[" + line.trim().split(/ +/)[9] + "]"));
        };
        const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
        const stop = new AbortController();
        const connecting = transport.connect({ hostname: "${HOST}", port: ${mute.port} }, { signal: stop.signal });
        const ended = connecting.then(() => "connected", (error) => error.message);
        while (!waits()) await turn();
        stop.abort(new Error("given up"));
        const told = await ended;
        while (waits()) await turn();
        console.log(told);
      `);
      assertEquals([output.trim(), code], ["given up", 0]);
    });
  }

  // With a network of its own, where the system has 16 ports to choose from, it soon chooses the one that is asked for.
  const [unshare, ...trial] = isolated(["true"]);
  if (spawnSync(unshare, trial).status === 0) {
    test("a connect() that meets itself is refused, and the port is free at once", async () => {
      const program = `
        const transport = (await import(${JSON.stringify(url)})).${factory}();
        const at = { hostname: "${HOST}", port: 40008 };
        const errors = new Set();
        let error;
        do {
          error = await transport.connect(at).then((connection) => new Error("met " + connection.local.port), (error) => error);
          errors.add(error.code);
        } while (!error.message.includes("met"));
        const listener = await transport.listen(at);
        console.log(error.message, ...errors);
        await listener.close();
      `;
      const { code, output } = await run(program, isolated([process.execPath, ...argsOf(program)]));
      const message = `Cannot connect to "${HOST}:40008": nobody listens there, and the connection met itself`;
      assertEquals([output.trim(), code], [`${message} refused`, 0]);
    });
  }

  test("without unref() a connection holds the program", async () => {
    const { output } = await run(`${start}
      listener.unref(); server.unref();
      clock.unref(clock.setTimeout(() => { console.log("still here"); client.abort(); }, 200));
    `);
    assertEquals(output.trim(), "still here");
  });
}

// ---

interface Pair extends AsyncDisposable {
  readonly listener: Listener;
  readonly client: Connection;
  readonly server: Connection;
}

async function open(
  transport: Transport,
  options = {},
  at: Parameters<Transport["listen"]>[0] = ANYWHERE,
): Promise<Pair> {
  const listener = await transport.listen(at, options);
  const [client, server] = await Promise.all([transport.connect(listener.address, options), accept(listener)]);
  return {
    listener,
    client,
    server,
    async [Symbol.asyncDispose](): Promise<void> {
      client.abort();
      server.abort();
      await listener.close();
      await pause(1); // The runtime's pending calls end a turn later.
    },
  };
}

async function accept(listener: Listener): Promise<Connection> {
  const { done, value } = await listener[Symbol.asyncIterator]().next();
  assert(!done, "the listener was closed");
  return value;
}

interface RawPeer extends AsyncDisposable {
  readonly socket: Socket;
  readonly connection: Connection;
}

async function rawPeer(transport: Transport): Promise<RawPeer> {
  const server = createRawServer();
  const accepted = new Promise<Socket>((resolve) => server.on("connection", resolve));
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as { port: number };
  const connection = await transport.connect({ hostname: HOST, port });
  const socket = await accepted;
  socket.on("error", () => {});
  socket.pause();
  return {
    socket,
    connection,
    async [Symbol.asyncDispose](): Promise<void> {
      connection.abort();
      socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await pause(1);
    },
  };
}

// A socket file whose program is gone: bound by a process that is killed.
async function makeStale(path: string): Promise<void> {
  const code = `require("node:net").createServer().listen(${
    JSON.stringify(path)
  }, () => process.kill(process.pid, "SIGKILL"))`;
  const { Deno } = globalThis as { Deno?: unknown };
  const args = Deno
    ? [
      "eval",
      `import { createRequire } from "node:module"; const require = createRequire("file:///x.js"); import process from "node:process"; ${code}`,
    ]
    : ["-e", code];
  await new Promise((resolve) => spawn(process.execPath, args, { stdio: "ignore" }).on("exit", resolve));
  assert(existsSync(path));
}

interface MuteServer extends AsyncDisposable {
  readonly port: number;
  /** What the system's list says of those whom it did not answer. */
  readonly unanswered: string;
}

function standStill(at: string): string {
  return `
    import { writeSync } from "node:fs";
    import { createServer } from "node:net";
    const server = createServer().listen({ ${at}, backlog: 1 }, () => setImmediate(() => {
      writeSync(1, String(server.address()?.port));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    }));
  `;
}

// A program that listens and stands still. Others have filled its queue, so that the system answers nobody any more.
async function muteServer(): Promise<MuteServer> {
  const child = spawn(
    process.execPath,
    argsOf(standStill(`host: "${HOST}", port: 0`)),
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const port = await new Promise<number>((resolve) => child.stdout.once("data", (data) => resolve(Number(data))));
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const unanswered = ` 0100007F:${hex} 02 `; // SYN_SENT
  const fill: Socket[] = [];
  // A whole round of them: one or two may only be slow.
  while (readFileSync("/proc/net/tcp", "utf8").split(unanswered).length <= 100) {
    // Bun has 512 wait, whatever it is told.
    for (let i = 0; i < 100; i++) fill.push(connectRaw(port, HOST).on("error", () => {}));
    await pause(20);
  }
  return {
    port,
    unanswered,
    async [Symbol.asyncDispose](): Promise<void> {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
      for (const socket of fill) socket.destroy();
    },
  };
}

/** The command that runs another one with a network of its own, which only root on Linux may make. */
function isolated(command: readonly string[]): string[] {
  const set = "ip link set lo up && echo 40000 40015 > /proc/sys/net/ipv4/ip_local_port_range";
  return ["unshare", "-n", "sh", "-c", `${set} && exec "$@"`, "sh", ...command];
}

function argsOf(code: string): string[] {
  const { Bun, Deno } = globalThis as { Bun?: unknown; Deno?: unknown };
  return Deno ? ["eval", code] : Bun ? ["-e", code] : ["--input-type=module", "-e", code];
}

async function run(
  code: string,
  command: readonly string[] = [process.execPath, ...argsOf(code)],
): Promise<{ code: number | null; output: string }> {
  const [file, ...args] = command;
  const child = spawn(file, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk) => output += chunk);
  const timer = setTimeout(() => child.kill("SIGKILL"), 50_000);
  const exit = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearTimeout(timer);
  return { code: exit, output };
}

async function echo(connection: Connection): Promise<void> {
  for (let chunk = await connection.read(); chunk; chunk = await connection.read()) await connection.write(chunk);
  await connection.closeWrite();
}

// Writes until it has to wait; rejects when the connection ends.
async function fill(connection: Connection): Promise<never> {
  for (;;) await connection.write(new Uint8Array(1 << 20));
}

async function writePieces(connection: Connection, bytes: Uint8Array, seed: number): Promise<void> {
  const sizes = noise(4096, seed);
  for (let at = 0, round = 0; at < bytes.length; round++) {
    const scale = [1, 50, 700, 5000][sizes[(round + 1) % 4096] % 4];
    const end = at + 1 + sizes[round % 4096] * scale;
    await connection.write(bytes.subarray(at, end));
    at = end;
  }
}

async function readExactly(connection: Connection, size: number): Promise<{ bytes: Uint8Array; chunks: Uint8Array[] }> {
  const chunks: Uint8Array[] = [];
  for (let left = size; left > 0;) {
    const chunk = await connection.read();
    assert(chunk, `${left} bytes of ${size} did not come`);
    assert(chunk.length > 0, "an empty chunk came");
    chunks.push(chunk);
    left -= chunk.length;
    assert(left >= 0, `${-left} bytes too many came`);
  }
  return { bytes: concat(chunks), chunks };
}

async function readAll(connection: Connection): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await connection.read(); chunk; chunk = await connection.read()) chunks.push(chunk);
  return concat(chunks);
}

// Reads until the end: FIN or a reset, or a cut where an end has to be said.
async function ended(connection: Connection): Promise<void> {
  const end = await readAll(connection).catch((error) => error);
  if (!(end instanceof Uint8Array)) assert(["reset", "truncated"].includes((end as ConnectionError).code), `${end}`);
  connection.abort();
}

async function rejectsWith(code: string, promise: Promise<unknown>): Promise<ConnectionError> {
  const error = await promise.then(() => undefined, (error) => error);
  assertInstanceOf(error, ConnectionError);
  assertEquals(error.code, code, error.message);
  return error;
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

function isSame(bytes: Uint8Array, sent: Uint8Array): boolean {
  return Buffer.compare(bytes, sent) === 0;
}

// Without a list of megabytes where they differ.
function assertSame(bytes: Uint8Array, sent: Uint8Array): void {
  assertEquals(bytes.length, sent.length);
  assert(isSame(bytes, sent), "other bytes came");
}

// Bytes that differ everywhere, the same for the same seed. Behind a megabyte, less a few so that it is prime, they repeat.
function noise(size: number, seed: number): Uint8Array {
  const period = Math.min(size, 1_048_573);
  const words = new Uint32Array(Math.ceil(period / 4));
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  const bytes = new Uint8Array(words.buffer, 0, period);
  if (size === period) return bytes;
  const whole = new Uint8Array(size);
  whole.set(bytes);
  for (let at = period; at < size; at *= 2) whole.copyWithin(at, 0, at);
  return whole;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// Whether it settles within so many milliseconds. Only a test that expects "no" waits for them.
async function settled(promise: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => timer = setTimeout(resolve, ms, false));
  const result = await Promise.race([promise.then(() => true, () => true), late]);
  clearTimeout(timer);
  return result;
}

// A test that hangs fails, on every runner.
async function inTime(work: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) =>
    timer = setTimeout(() => reject(new Error(`not done after ${DEADLINE} ms`)), DEADLINE)
  );
  try {
    await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
