/** Steps with public keys take long: a server does at most one in a turn of the event loop. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, Server, VeltixError } from "../mod.ts";
import { TurnQueue } from "../src/link/turn_queue.ts";
import { Identity } from "@veltix/core/encryption";
import { type Connection, type Listener, memoryTransport, type Transport } from "@veltix/core/memory";

/** An event loop whose turns end when the test says so. */
class Turns {
  #next: (() => void)[] = [];

  readonly yield = (fn: () => void): void => void this.#next.push(fn);

  /** The number of callbacks that wait for the next turn. */
  get waiting(): number {
    return this.#next.length;
  }

  /** Begins the next turn, and lets everything run that needs no other turn. */
  async turn(): Promise<void> {
    const now = this.#next;
    this.#next = [];
    for (const fn of now) fn();
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

describe("TurnQueue", () => {
  it("lets the first go on at once, then one in each turn, in their order", async () => {
    const turns = new Turns();
    const queue = new TurnQueue(turns);
    const done: number[] = [];
    for (let i = 0; i < 4; i++) {
      const turn = queue.next();
      if (turn === undefined) done.push(i);
      else void turn.then(() => done.push(i));
    }
    for (const expected of [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]) {
      assertEquals(done, expected);
      assertEquals(turns.waiting, 1);
      await turns.turn();
    }
    assertEquals(turns.waiting, 0);
    assertEquals(queue.next(), undefined);
    assert(queue.next() !== undefined);
  });

  it("fails all that wait when it is closed, and is over when its last turn is", async () => {
    const turns = new Turns();
    const queue = new TurnQueue(turns);
    const error = new Error("closed");
    assertEquals(queue.next(), undefined);
    const waiting = [queue.next()!, queue.next()!];
    let over = false;
    void queue.close(error).then(() => over = true);
    for (const one of [...waiting, queue.next()!]) assertEquals(await assertRejects(() => one), error);
    assertEquals(over, false);
    await turns.turn();
    assertEquals([over, turns.waiting], [true, 0]);
    await new TurnQueue(turns).close(error);
  });
});

describe("a server with encryption", () => {
  const CLIENTS = 12;

  /** A network that counts the steps of its servers with public keys, as far as they lead to a write. */
  function network(turns: Turns): Transport & { steps: number } {
    const memory = memoryTransport();
    const counted = {
      ...memory,
      steps: 0,
      eventLoop: { ...memory.eventLoop!, yield: turns.yield },
      async listen(...args: Parameters<Transport["listen"]>): Promise<Listener> {
        const listener = await memory.listen(...args);
        const accept = async function* (): AsyncGenerator<Connection> {
          for await (const connection of listener) {
            const write = connection.write.bind(connection);
            let writes = 0;
            connection.writeTo = undefined;
            connection.write = (bytes) => {
              // The first write is the hello, the second one message 2.
              if (++writes === 2) counted.steps++;
              return write(bytes);
            };
            yield connection;
          }
        };
        return {
          address: listener.address,
          close: () => listener.close(),
          unref: () => listener.unref(),
          [Symbol.asyncIterator]: accept,
          [Symbol.asyncDispose]: () => listener.close(),
        };
      },
    };
    return counted;
  }

  it("does one step of one peer in each turn, message 1 or 3, however many come at once", async () => {
    const turns = new Turns();
    const transport = network(turns);
    const identity = await Identity.generate();
    const server = new Server({ port: 1, transport, encryption: { identity }, quiet: true });
    server.on("connect", () => void transport.steps++);
    await server.start();
    const clients = Array.from(
      { length: CLIENTS },
      () => new Client({ port: 1, transport, encryption: { trust: identity.publicKey } }),
    );
    const connected = Promise.all(clients.map((client) => client.connect()));
    let most = 0;
    for (let turn = 0; turn < 20 * CLIENTS && transport.steps < 2 * CLIENTS; turn++) {
      const before = transport.steps;
      await turns.turn();
      most = Math.max(most, transport.steps - before);
    }
    assertEquals([transport.steps, most], [2 * CLIENTS, 1]);
    await connected;
    const closed = Promise.all([server.close(), ...clients.map((client) => client.close())]);
    let over = false;
    void closed.then(() => over = true);
    while (!over) await turns.turn();
  });

  it("closes at once while peers wait for their turn, and does no step for them", async () => {
    const turns = new Turns();
    const transport = network(turns);
    const identity = await Identity.generate();
    const server = new Server({ port: 1, transport, encryption: { identity }, quiet: true });
    await server.start();
    const clients = Array.from(
      { length: CLIENTS },
      () => new Client({ port: 1, transport, encryption: { trust: identity.publicKey } }),
    );
    // The first may be let in already.
    const [first, ...others] = clients.map((client) => client.connect());
    const refused = Promise.all([
      first.catch(() => {}),
      ...others.map((connecting) => assertRejects(() => connecting, VeltixError)),
    ]);
    await turns.turn();
    const before = transport.steps;
    let over = false;
    void Promise.all([server.close({ drain: 0 }), refused]).then(() => over = true);
    for (let turn = 0; turn < 100 && !over; turn++) await turns.turn();
    assert(over, "the server is closed, and the clients know");
    assert(transport.steps - before <= 1, `${transport.steps - before} steps after the close`);
    await Promise.all(clients.map((client) => client.close()));
  });
});
