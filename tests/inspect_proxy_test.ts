/**
 * The proxy of `veltix inspect`: what it passes on, and what disturbs it.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { loadTransport } from "../src/auto/load_transport.ts";
import { memoryTransport } from "../src/adapters/memory.ts";
import { type Broken, type Onlooker, type ProxyEvents, relay } from "../src/cli/inspect/proxy.ts";
import type { Sender } from "../src/cli/inspect/seen.ts";
import type { Connection, Endpoint, Transport } from "../src/transport.ts";
import { turn } from "./session_support.ts";
import { join } from "./wire_support.ts";

/** What an onlooker was told. */
class Notes implements Onlooker {
  readonly bytes: Record<Sender, Uint8Array[]> = { client: [], server: [] };
  readonly events: string[] = [];
  broken: Broken | undefined = undefined;

  data(from: Sender, bytes: Uint8Array): void {
    this.bytes[from].push(bytes.slice());
  }

  end(from: Sender): void {
    this.events.push(`end of ${from}`);
  }

  close(broken: Broken | undefined): void {
    this.broken = broken;
    this.events.push("close");
  }
}

interface Stage {
  readonly client: Connection;
  readonly server: Connection;
  readonly notes: Notes;
  readonly blind: string[];
}

/** A client and a server with a proxy between them. */
async function stage(
  transport: Transport,
  act: (stage: Stage) => Promise<void>,
  onlooker: (notes: Notes) => Onlooker = (notes) => notes,
  ready?: () => Promise<void>,
): Promise<Stage> {
  const at: Endpoint = { hostname: "127.0.0.1", port: 0 };
  const back = await transport.listen(at);
  const front = await transport.listen(at);
  const notes = new Notes();
  const blind: string[] = [];
  const events: ProxyEvents = {
    open: () => onlooker(notes),
    unreachable: (_number, _client, error) => {
      throw error;
    },
    blind: (_number, { message }) => void blind.push(message),
    ready,
  };
  const running = relay(front, () => transport.connect(back.address), events, new AbortController().signal);
  const client = await transport.connect(front.address);
  const { value: server } = await back[Symbol.asyncIterator]().next() as { value: Connection };
  const staged = { client, server, notes, blind };
  try {
    await act(staged);
  } finally {
    client.abort();
    server.abort();
    await front.close();
    await back.close();
    await running;
  }
  return staged;
}

async function readAll(connection: Connection): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = await connection.read(); chunk !== null; chunk = await connection.read()) chunks.push(chunk.slice());
  return join(...chunks);
}

async function writeAll(connection: Connection, bytes: Uint8Array, size: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += size) await connection.write(bytes.subarray(at, at + size));
  await connection.closeWrite();
}

function random(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, () => (seed = Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 24);
}

const WORLDS: readonly [name: string, make: () => Transport | Promise<Transport>][] = [
  ["sockets", () => loadTransport("auto")],
  ["memory that splits writes", () => memoryTransport({ faults: () => ({ split: { seed: 7, max: 100 } }) })],
];

describe("the proxy of veltix inspect", () => {
  for (const [world, make] of WORLDS) {
    it(`passes all bytes on in both directions at once, in any chunks: ${world}`, async () => {
      const [up, down] = [random(100_000, 1), random(70_000, 2)];
      for (const size of [700, 100_000]) {
        const { notes } = await stage(await make(), async ({ client, server }) => {
          const [there, back] = await Promise.all([
            readAll(server),
            readAll(client),
            writeAll(client, up, size),
            writeAll(server, down, size),
          ]);
          assertEquals([there, back], [up, down]);
          assertEquals(await Promise.all([client.closed, server.closed]), [undefined, undefined]);
        });
        assertEquals([join(...notes.bytes.client), join(...notes.bytes.server)], [up, down]);
        assertEquals(notes.events.slice().sort(), ["close", "end of client", "end of server"]);
        assertEquals(notes.broken, undefined);
      }
    });

    it(`passes the end of one direction on, and the other goes on: ${world}`, async () => {
      const { notes } = await stage(await make(), async ({ client, server }) => {
        await writeAll(client, Uint8Array.of(1, 2), 10);
        assertEquals(await readAll(server), Uint8Array.of(1, 2));
        for (let i = 0; i < 3; i++) {
          await server.write(Uint8Array.of(i));
          assertEquals([...(await client.read())!], [i]);
        }
        await server.closeWrite();
        assertEquals(await client.read(), null);
      });
      assertEquals(notes.events, ["end of client", "end of server", "close"]);
    });
  }

  it("ends the other side at once when one side is reset, and says which", async () => {
    for (const from of ["client", "server"] as const) {
      const { notes } = await stage(memoryTransport(), async (staged) => {
        const [one, other] = from === "client" ? [staged.client, staged.server] : [staged.server, staged.client];
        await one.write(Uint8Array.of(1));
        assertEquals([...(await other.read())!], [1]);
        // A socket is reset where its end is let go before everything was read.
        await other.write(new Uint8Array(100));
        while (staged.notes.bytes[from === "client" ? "server" : "client"].length === 0) await turn();
        await turn();
        one.abort();
        await readAll(other).catch(() => {});
        other.abort();
        await other.closed;
      });
      assertEquals(notes.broken?.from, from);
      assertEquals((notes.broken?.error as { code?: string }).code, "reset");
      assertEquals(notes.events.at(-1), "close");
    }
  });

  it("takes no more from a sender than fits, while the receiver does not read", async () => {
    const pipeSize = 10_000;
    const transport = memoryTransport({ pipeSize });
    const [chunk, count] = [new Uint8Array(1_000), 1_000];
    await stage(transport, async ({ client, server, notes }) => {
      let written = 0;
      const writing = (async () => {
        for (; written < count; written++) await client.write(chunk);
        await client.closeWrite();
      })();
      // Everything that can move has moved when nothing has for many turns.
      for (let still = 0, last = -1; still < 50; still++) {
        if (written !== last) still = 0;
        last = written;
        await turn();
      }
      // Two pipes, and a chunk or two in the hands of the proxy, which has at most 64 KiB at a time.
      assert(written * 1_000 <= 4 * pipeSize, `${written}`);
      assert(notes.bytes.client.reduce((sum, { length }) => sum + length, 0) <= 4 * pipeSize);
      const [received] = await Promise.all([readAll(server), writing]);
      assertEquals(received.length, count * 1_000);
    });
  });

  it("goes on when the onlooker throws, which is told once", async () => {
    for (const member of ["data", "end", "close"] as const) {
      const { blind } = await stage(memoryTransport(), async ({ client, server }) => {
        const [there, back] = await Promise.all([
          readAll(server),
          readAll(client),
          writeAll(client, random(10_000, 3), 100),
          writeAll(server, random(10_000, 4), 100),
        ]);
        assertEquals([there.length, back.length], [10_000, 10_000]);
      }, (notes) => {
        notes[member] = () => {
          throw new Error(`in ${member}`);
        };
        return notes;
      });
      assertEquals(blind, [`in ${member}`]);
    }
  });

  it("shows bytes only once they are on their way", async () => {
    const order: string[] = [];
    const base = memoryTransport();
    const at = await base.listen({ hostname: "127.0.0.1", port: 0 });
    const target = await base.listen({ hostname: "127.0.0.1", port: 0 });
    const events: ProxyEvents = {
      open: () => ({ data: () => void order.push("shown"), end: () => {}, close: () => {} }),
      unreachable: () => {},
      blind: () => {},
    };
    const connect = async (): Promise<Connection> => {
      const connection = await base.connect(target.address);
      const write = connection.write.bind(connection);
      connection.writeTo = undefined;
      connection.write = (bytes) => {
        order.push("written");
        return write(bytes);
      };
      return connection;
    };
    const running = relay(at, connect, events, new AbortController().signal);
    const client = await base.connect(at.address);
    const { value: server } = await target[Symbol.asyncIterator]().next() as { value: Connection };
    await client.write(Uint8Array.of(1));
    await server.read();
    assertEquals(order, ["written", "shown"]);
    client.abort();
    server.abort();
    await at.close();
    await target.close();
    await running;
  });

  it("takes nothing more from either end while what it tells has no room", async () => {
    const transport = memoryTransport({ pipeSize: 10_000 });
    const room = Promise.withResolvers<void>();
    const [chunk, count] = [new Uint8Array(1_000), 100];
    await stage(
      transport,
      async ({ client, server, notes }) => {
        const there = readAll(server);
        const back = readAll(client);
        const writing = Promise.all([
          writeAll(client, new Uint8Array(100_000), 1_000),
          (async () => {
            for (let i = 0; i < count; i++) await server.write(chunk);
            await server.closeWrite();
          })(),
        ]);
        for (let i = 0; i < 200; i++) await turn();
        // The first chunk of each direction is told, which finds out that there is no room.
        for (const from of ["client", "server"] as const) assertEquals(notes.bytes[from].length, 1);
        room.resolve();
        await writing;
        assertEquals((await Promise.all([there, back])).map(({ length }) => length), [100_000, 100_000]);
      },
      undefined,
      () => room.promise,
    );
  });

  it("ends while the server neither accepts nor refuses", async () => {
    const transport = memoryTransport();
    const front = await transport.listen({ hostname: "127.0.0.1", port: 0 });
    const controller = new AbortController();
    const begun = Promise.withResolvers<void>();
    const told: Error[] = [];
    const running = relay(front, pending(() => begun.resolve()), eventsOf(told), controller.signal);
    const client = await transport.connect(front.address);
    await begun.promise;
    const reason = new Error("Ctrl+C");
    controller.abort(reason);
    await front.close();
    await running;
    assertEquals(told, [reason]);
    client.abort();
    await client.closed.catch(() => {});
  });

  it("lets the client go when the server neither accepts nor refuses in time", async () => {
    const transport = memoryTransport();
    const front = await transport.listen({ hostname: "127.0.0.1", port: 0 });
    const told: Error[] = [];
    const running = relay(front, pending(() => {}), eventsOf(told), new AbortController().signal, 1);
    const client = await transport.connect(front.address);
    await client.read().catch(() => null);
    await front.close();
    await running;
    assertEquals(told.map(({ message }) => message), ["The server cannot be reached within 1 ms"]);
    client.abort();
    await client.closed.catch(() => {});
  });
});

/** Connects to a server whose queue is full. */
function pending(begin: () => void): (signal?: AbortSignal) => Promise<Connection> {
  return (signal) => {
    begin();
    return new Promise((_resolve, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
  };
}

function eventsOf(told: Error[]): ProxyEvents {
  return {
    open: () => new Notes(),
    unreachable: (_number, _client, error) => void told.push(error),
    blind: (_number, error) => void told.push(error),
  };
}
