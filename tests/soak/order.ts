/**
 * Messages of mixed types, to handlers that are synchronous, asynchronous and `ordered`, over several connections: they are
 * handed over in the order they were sent, each once. And an answer counts only from the peer that was asked.
 *
 * @module
 */

import {
  bytes,
  Client,
  type ConnectedClient,
  json,
  messageType,
  messageTypes,
  Server,
  type TcpEndpoint,
  text,
} from "@veltix/core";
import { loadTransport } from "../../src/auto/load_transport.ts";
import { Flag, SystemCode } from "../../src/wire/frame.ts";
import { type Commands, play } from "../processes/role.ts";
import { sleep, until } from "../processes/waiting.ts";
import { Raw } from "../session_support.ts";
import { Random } from "../wire_support.ts";
import { count } from "./figures.ts";
import type { Context, Scenario } from "./scenario.ts";

/** Each message carries its number on its connection. */
const TYPES = messageTypes({ sync: bytes, async: text, slow: json<{ n: number }>(), ordered: json<number>() }, {
  from: 200,
});
const SECRET = messageType(300, "secret", text, text);
const CONNECTIONS = 4;
const { REQUEST, REPLY } = Flag;

interface Tally {
  readonly total: number;
  readonly inversions: number;
  readonly errors: number;
  /** Of each connection: the number it is at. */
  readonly reached: readonly number[];
}

/** See the module. */
export const order: Scenario = {
  name: "order",
  async run({ short, seed, start, verdict }: Context): Promise<string> {
    const messages = short ? 500_000 : 10_000_000;
    const server = await start(import.meta.url, "server");
    const sender = await start(import.meta.url, "sender", { port: server.told, seed });
    await sender.call("pour", messages / CONNECTIONS);
    const { total, inversions, errors, reached } = await server.call<Tally>("tally", messages);
    await sender.end();
    const forger = await start(import.meta.url, "forger", { port: server.told });
    const forged = await server.call<{ answer: string; dropped: number }>("ask", await forger.call("begin"));
    await forger.end();
    await server.end();
    verdict.check(inversions === 0, `the order is kept: ${inversions} inversions`);
    verdict.check(total === messages, `each comes once: ${total} of ${messages}`);
    verdict.check(
      reached.length === CONNECTIONS && reached.every((n) => n === messages / CONNECTIONS),
      `each connection brings all of its own: ${reached.join(", ")}`,
    );
    verdict.check(errors === 0, `nothing fails: ${errors} errors`);
    verdict.check(forged.answer === "from A", `the one that was asked answers: "${forged.answer}"`);
    verdict.check(forged.dropped === 1, `the forged answer is dropped and counted: ${forged.dropped}`);
    return `${count(total)} messages over ${CONNECTIONS} connections, ${inversions} inversions, ` +
      `${count(messages - total)} lost; forged answers dropped: ${forged.dropped}`;
  },
};

async function serve(): Promise<Commands> {
  const server = new Server({ port: 0, hostname: "127.0.0.1" });
  const next = new Map<number, number>();
  /** Connections with an ordered message at work. */
  const busy = new Set<number>();
  let total = 0;
  let inversions = 0;
  let errors = 0;
  const take = (client: ConnectedClient, n: number): void => {
    total++;
    if (n !== (next.get(client.id) ?? 0)) inversions++;
    next.set(client.id, n + 1);
  };
  server.route(TYPES.sync, ({ data }, client) => take(client, new DataView(data.buffer, data.byteOffset).getUint32(0)));
  server.route(TYPES.async, async ({ data }, client) => {
    take(client, Number(data));
    await undefined;
  });
  server.route(TYPES.slow, ({ data }, client) => {
    take(client, data.n);
    return sleep(data.n % 3);
  });
  server.route(TYPES.ordered, async ({ data }, client) => {
    take(client, data);
    if (busy.has(client.id)) inversions++;
    busy.add(client.id);
    await undefined;
    busy.delete(client.id);
  }, { ordered: true });
  server.on("error", () => void errors++);
  await server.start();
  return {
    ready: (server.addresses[0] as TcpEndpoint).port,
    async tally(messages: number): Promise<Tally> {
      await until("All messages arrive", 30_000, () => total >= messages).catch(() => {});
      return { total, inversions, errors, reached: [...next.values()] };
    },
    async ask([asked, forger]: [number, number]): Promise<{ answer: string; dropped: number }> {
      const byPort = (port: number): ConnectedClient => server.clients.find((client) => client.port === port)!;
      const dropped = (): number => byPort(forger).stats().repliesDropped;
      const answer = await byPort(asked).request(SECRET, "who are you?");
      await until("The forged answer arrives", 2_000, () => dropped() > 0).catch(() => {});
      return { answer, dropped: dropped() };
    },
    close: () => server.close(),
  };
}

async function send({ port, seed }: { port: number; seed: number }): Promise<Commands> {
  const clients = Array.from({ length: CONNECTIONS }, () => new Client({ port }));
  for (const client of clients) await client.connect();
  const one = (client: Client, n: number, random: Random): boolean => {
    const draw = random.below(100);
    if (draw < 70) {
      const payload = new Uint8Array(4 + random.below(29));
      new DataView(payload.buffer).setUint32(0, n);
      return client.send(TYPES.sync, payload);
    }
    if (draw < 85) return client.send(TYPES.async, String(n));
    if (draw < 90) return client.send(TYPES.slow, { n });
    return client.send(TYPES.ordered, n);
  };
  return {
    async pour(each: number): Promise<void> {
      await Promise.all(clients.map(async (client, i) => {
        const random = new Random(seed + i);
        for (let n = 0; n < each; n++) {
          if (!one(client, n, random)) await client.ready();
        }
      }));
    },
    close: () => Promise.all(clients.map((client) => client.close())),
  };
}

/** Two raw peers, A and B: B answers what A is asked, and A answers once that has been read. */
async function forge({ port }: { port: number }): Promise<Commands> {
  const transport = await loadTransport("auto");
  const world = { transport, clock: undefined as never };
  const at = { hostname: "127.0.0.1", port };
  const [a, b] = [await Raw.connect(world, at, "native"), await Raw.connect(world, at, "native")];
  const answering = (async () => {
    const { code, requestId } = (await a.frame())!;
    const id = requestId as number;
    await b.send(
      { code, content: "from B", requestId: id, flags: REPLY },
      { code: SystemCode.PING, requestId: 1, flags: REQUEST },
    );
    for (let frame = await b.frame(); frame!.code !== SystemCode.PONG; frame = await b.frame());
    await a.send({ code, content: "from A", requestId: id, flags: REPLY });
  })();
  return {
    begin: () => [a, b].map(({ connection }) => (connection.local as TcpEndpoint).port),
    async close(): Promise<void> {
      await answering;
      a.connection.abort();
      b.connection.abort();
      await Promise.all([a.connection.closed, b.connection.closed]);
    },
  };
}

if (import.meta.main) await play({ server: serve, sender: send, forger: forge });
