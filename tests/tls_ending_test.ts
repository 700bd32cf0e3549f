/** How a connection over TLS ends: by `close_notify`, or cut by somebody on the way. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { connect, createServer, type Socket } from "node:net";
import process from "node:process";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { RecordTail } from "../src/adapters/tls_ending.ts";
import { tlsSockets } from "../src/adapters/tls.ts";
import { ConnectionError } from "../src/errors.ts";
import type { Connection } from "../src/transport.ts";
import { HOST } from "./protected_support.ts";
import { CA, SERVER } from "./tls_support.ts";

/** Bun does not let a program tell the one from the other. */
const TELLS = !("Bun" in globalThis);

/** Two ends of a connection, and what carries the bytes between them. */
interface Ends extends AsyncDisposable {
  readonly client: Connection;
  readonly server: Connection;
  /** Sends FIN to the client, to the server or to both, without a word of the other. */
  cut(to: "client" | "server"): void;
}

async function ends(): Promise<Ends> {
  const sockets = tlsSockets();
  const context = sockets.context(SERVER);
  const listener = await sockets.server({ context }).listen({ hostname: HOST, port: 0 });
  const { port } = listener.address as { port: number };
  const open: Socket[] = [];
  const between = createServer({ allowHalfOpen: true }, (there) => {
    const here = connect({ port, host: HOST, allowHalfOpen: true });
    open.push(there, here);
    for (const [from, to] of [[there, here], [here, there]]) {
      from.on("error", () => {});
      from.on("data", (chunk) => to.write(chunk) || from.pause());
      to.on("drain", () => from.resume());
      from.on("end", () => to.end());
    }
  });
  const at = await new Promise<number>((resolve) => {
    between.listen(0, HOST, () => resolve((between.address() as { port: number }).port));
  });
  const [server, client] = await Promise.all([
    listener[Symbol.asyncIterator]().next().then(({ value }) => value.secure!()),
    sockets.client({ ca: CA, serverName: "localhost" }).connect({ hostname: HOST, port: at }),
  ]);
  return {
    client,
    server,
    cut: (to) => open[to === "client" ? 0 : 1].end(),
    async [Symbol.asyncDispose](): Promise<void> {
      client.abort();
      server.abort();
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => between.close(resolve));
      await listener.close();
    },
  };
}

async function readAll(connection: Connection): Promise<number> {
  for (let size = 0;;) {
    const chunk = await connection.read();
    if (chunk === null) return size;
    size += chunk.length;
  }
}

describe("the end of TLS", () => {
  for (const cut of ["client", "server"] as const) {
    it(`that somebody cut is ${TELLS ? "truncated" : "not told from another"} at the ${cut}`, async () => {
      await using pair = await ends();
      const here = pair[cut];
      const there = pair[cut === "client" ? "server" : "client"];
      await there.write(new Uint8Array(300));
      assertEquals((await here.read())?.length, 300);
      pair.cut(cut);
      if (TELLS) {
        const error = await assertRejects(() => here.read(), ConnectionError);
        assertEquals(error.code, "truncated");
        assertEquals(await here.closed, error);
      } else assertEquals(await here.read(), null);
    });
  }

  it(`is an end when the peer says so, first one, then the other`, async () => {
    for (const first of ["client", "server"] as const) {
      await using pair = await ends();
      const here = pair[first];
      const there = pair[first === "client" ? "server" : "client"];
      await here.write(new Uint8Array(2_000));
      await here.closeWrite();
      assertEquals(await readAll(there), 2_000);
      await there.write(new Uint8Array(3_000));
      await there.closeWrite();
      assertEquals(await readAll(here), 3_000);
      assertEquals([await here.closed, await there.closed], [undefined, undefined]);
    }
  });

  it(`is an end, too, for a reader that comes late to many bytes`, async () => {
    for (const late of ["client", "server"] as const) {
      await using pair = await ends();
      const writer = pair[late === "client" ? "server" : "client"];
      const reader = pair[late];
      const written = (async () => {
        for (let i = 0; i < 30; i++) await writer.write(new Uint8Array(100_001));
        await writer.closeWrite();
      })();
      for (let size = 0; size < 3_000_030;) {
        const chunk = await reader.read();
        assert(chunk !== null, `the end came after ${size} bytes`);
        size += chunk.length;
        // All that can come comes while nobody reads.
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
      await written;
      assertEquals(await reader.read(), null);
    }
  });

  for (const how of ["end", "cut"] as const) {
    it(`of version 1.2: ${how}`, async () => {
      const sockets = tlsSockets();
      const context = sockets.context({ ...SERVER, minVersion: "TLSv1.2" });
      await using listener = await sockets.server({ context }).listen({ hostname: HOST, port: 0 });
      const { port } = listener.address as { port: number };
      const socket = connect({ port, host: HOST, allowHalfOpen: true });
      const tls = connectTls({ socket, ca: CA, servername: "localhost", maxVersion: "TLSv1.2" });
      for (const one of [socket, tls]) one.on("error", () => {});
      const { value } = await listener[Symbol.asyncIterator]().next();
      const server: Connection = await value.secure();
      assertEquals(tls.getProtocol(), "TLSv1.2");
      tls.write(new Uint8Array(10));
      assertEquals((await server.read())?.length, 10);
      if (how === "end") tls.end();
      else socket.destroy();
      const ended = await server.read().then((chunk) => chunk, (error: ConnectionError) => error.code);
      assertEquals(ended, how === "cut" && TELLS ? "truncated" : null);
      server.abort();
      tls.destroy();
      socket.destroy();
    });
  }
});

describe("what comes after close_notify", () => {
  const MIB = 2 ** 20;
  const MUCH = 256 * MIB;

  it("is not kept", async () => {
    const sockets = tlsSockets();
    await using listener = await sockets.server({ context: sockets.context(SERVER) }).listen({
      hostname: HOST,
      port: 0,
    });
    const { port } = listener.address as { port: number };
    const socket = connect({ port, host: HOST, allowHalfOpen: true });
    socket.on("error", () => {});
    const tls = connectTls({ socket: new WithoutFin(socket) as unknown as Socket, ca: CA, servername: "localhost" });
    tls.on("error", () => {});
    const { value } = await listener[Symbol.asyncIterator]().next();
    const server: Connection = await value.secure();
    tls.end();
    assertEquals(await server.read(), null);
    const before = process.memoryUsage().rss;
    const junk = new Uint8Array(65_536).map((_, i) => [0x17, 3, 3, 0, 59][i % 64] ?? 7);
    let sent = 0;
    for (let still = false; sent < MUCH && !still; sent += junk.length) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      still = await Promise.race([
        new Promise<boolean>((resolve) => socket.write(junk, () => resolve(false))),
        // A peer that cannot send on is not read any more, which is as good.
        new Promise<boolean>((resolve) => timer = setTimeout(() => resolve(true), 1_000)),
      ]);
      clearTimeout(timer);
    }
    const grown = process.memoryUsage().rss - before;
    assert(sent >= MUCH ? grown < MUCH / 2 : sent < MUCH / 2, `${sent} bytes were sent, and ${grown} more are used`);
    server.abort();
    tls.destroy();
    socket.destroy();
  });
});

/** Carries the bytes of TLS over a socket, but not its FIN. */
class WithoutFin extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    socket.on("data", (chunk) => void this.push(chunk));
    socket.on("end", () => void this.push(null));
    socket.on("close", () => this.destroy());
  }

  override _read(): void {}

  override _write(chunk: Uint8Array, _encoding: unknown, done: () => void): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: () => void): void {
    done();
  }
}

describe("the records of a peer", () => {
  const record = (type: number, length: number): number[] => [type, 3, 3, 0, length, ...new Array(length).fill(0x15)];
  const cases: readonly [name: string, bytes: number[], alert: boolean][] = [
    ["nothing", [], false],
    ["data", record(0x17, 40), false],
    ["an alert of TLS 1.2", [...record(0x17, 40), ...record(0x15, 26)], true],
    ["an alert of TLS 1.3", [...record(0x17, 40), ...record(0x17, 19)], true],
    ["data after an alert", [...record(0x17, 19), ...record(0x17, 20)], false],
    ["an empty record", [...record(0x17, 19), ...record(0x17, 0)], false],
  ];
  for (const [name, bytes, alert] of cases) {
    it(`that end with ${name}: ${alert ? "an end" : "a cut"}, wherever chunks begin`, () => {
      for (let split = 0; split <= bytes.length; split++) {
        const tail = new RecordTail();
        tail.add(Uint8Array.from(bytes.slice(0, split)));
        tail.add(Uint8Array.from(bytes.slice(split)));
        assertEquals(tail.isAlert, alert, `cut at ${split}`);
      }
      const slow = new RecordTail();
      for (const [i, byte] of bytes.entries()) {
        slow.add(Uint8Array.of(byte));
        if (i === bytes.length - 2) assertEquals(slow.isAlert, false, "a part of an alert is none");
      }
      assertEquals(slow.isAlert, alert);
    });
  }
});
