/**
 * One short conversation, cut after each byte of each direction: it is the same as the one that was not cut. So it is
 * where the handshake of the comeback is cut, too.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Client, type ConnectedClient, messageType, Server, streamType, type TcpEndpoint, text } from "../mod.ts";
import type { FaultsInfo, MemoryOptions } from "../src/adapters/memory_network.ts";
import type { Connection, Transport } from "../src/transport.ts";
import { cutAfter } from "./resume_support.ts";
import { advanceUntil, HOST, Lines, memoryWorld } from "./session_support.ts";
import { collect } from "./streams_support.ts";
import { isSampled } from "./wire_support.ts";

const NEWS = messageType(200, "news", text);
const ASK = messageType(201, "ask", text, text);
const TALK = streamType(300, "talk", { result: text });
/** Messages that each side sends, and the requests that it makes. */
const MESSAGES = 3;
const REQUESTS = 2;
/** More than the window of a stream, so that it has to be opened again. */
const CHUNKS = 3;
const CHUNK = 400;
/** Less than what is sent, so that credit has to be granted. */
const TERMS = { maxQueuedBytes: 200, streamWindow: 1_024, maxStreamBytes: 4_096 } as const;

type Side = FaultsInfo["side"];

/** What was sent over one connection. */
interface Sizes {
  client: number;
  server: number;
  /** The bytes of its handshake, which are those before the first frame. */
  handshake: { client: number; server: number };
}

/** All that both sides saw of a conversation. */
interface Seen {
  /** What the handlers of both sides got, one after the other. */
  readonly server: string[];
  readonly client: string[];
  /** The answers that both sides got. */
  readonly answers: string[];
  readonly asked: string[];
  /** The bytes of the stream, as they were read, and its result. */
  up: string;
  down: string;
  result: string;
}

/** A conversation that is over. */
interface Conversation {
  /** What was seen of the session that the client knows. */
  readonly seen: Seen;
  /** What the server saw of sessions whose clients never knew of them. */
  readonly unknown: Seen[];
  readonly clientEvents: string[];
  readonly serverEvents: Map<number, string[]>;
  readonly sizes: Sizes[];
  readonly errors: unknown[];
}

function nothing(): Seen {
  return { server: [], client: [], answers: [], asked: [], up: "", down: "", result: "" };
}

/** A chunk whose bytes say where they are. */
function chunk(side: Side, n: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: CHUNK }, (_, i) => 65 + (n * 7 + i * (side === "client" ? 3 : 5)) % 26);
}

async function write(side: Side, writable: WritableStream<Uint8Array>): Promise<void> {
  const writer = writable.getWriter();
  for (let n = 0; n < CHUNKS; n++) await writer.write(chunk(side, n));
  await writer.close();
}

async function read(readable: ReadableStream<Uint8Array>): Promise<string> {
  return new TextDecoder().decode(await collect(readable));
}

/** A transport that counts what is written over each connection. */
function counting(transport: Transport, sizes: Sizes[]): Transport {
  const accepted = { count: 0 };
  const watch = (connection: Connection, side: Side, index: number): Connection => {
    const size = sizes[index] ??= { client: 0, server: 0, handshake: { client: 0, server: 0 } };
    const { write } = connection;
    return Object.assign(connection, {
      writeTo: undefined,
      write: (bytes: Uint8Array) => {
        // Handshake messages are JSON after their length; frames begin with the version of their header.
        if (size.handshake[side] === size[side] && bytes[2] === 0x7b) size.handshake[side] += bytes.length;
        size[side] += bytes.length;
        return write.call(connection, bytes);
      },
    } as Partial<Connection>);
  };
  let connected = 0;
  return {
    ...transport,
    connect: async (to, options) => watch(await transport.connect(to, options), "client", connected++),
    listen: async (at, options) => {
      const listener = await transport.listen(at, options);
      return Object.assign(Object.create(listener), {
        address: listener.address,
        close: () => listener.close(),
        unref: () => listener.unref(),
        async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
          for await (const connection of listener) yield watch(connection, "server", accepted.count++);
        },
      });
    },
  };
}

/** Has the conversation, over connections with these faults. */
async function converse(faults?: MemoryOptions["faults"]): Promise<Conversation> {
  const world = memoryWorld(faults === undefined ? {} : { faults });
  const { clock } = world;
  const sizes: Sizes[] = [];
  const transport = counting(world.transport, sizes);
  const errors: unknown[] = [];
  const bySession = new Map<number, Seen>();
  const serverEvents = new Map<number, string[]>();
  const of = ({ id }: ConnectedClient): Seen => {
    if (!bySession.has(id)) bySession.set(id, nothing());
    return bySession.get(id)!;
  };
  const server = new Server({
    hostname: HOST,
    port: 0,
    transport,
    logger: new Lines(),
    resume: { keep: 5_000 },
    ...TERMS,
  });
  server.on("error", (error) => void errors.push(error));
  server.on("rejected", () => {});
  const note = (event: string) => ({ id }: { readonly id: number }): void => void serverEvents.get(id)!.push(event);
  server.on("suspended", note("suspended"));
  server.on("resumed", note("resumed"));
  server.on("disconnect", note("disconnect"));
  server.on("connect", (client) => {
    serverEvents.set(client.id, ["connect"]);
    for (let n = 0; n < MESSAGES; n++) client.send(NEWS, `${n} from the server of ${client.id}${" ".repeat(50)}`);
    for (let n = 0; n < REQUESTS; n++) {
      client.request(ASK, `${n} of the server`).then(
        (answer) => void of(client).asked.push(answer),
        (error) => void of(client).asked.push(`${error.name}`),
      );
    }
  });
  server.route(NEWS, ({ data }, client) => void of(client).server.push(data));
  server.route(ASK, ({ data }, client) => {
    of(client).server.push(data);
    return `${data}, says the server`;
  });
  server.stream(TALK, async ({ readable, writable }, client) => {
    const [up] = await Promise.all([read(readable), write("server", writable)]);
    of(client).up += up;
    return "talked";
  });
  await server.start();

  const client = new Client({
    ...server.addresses[0] as TcpEndpoint,
    transport,
    protocol: "native",
    logger: new Lines(),
    resume: true,
    reconnect: { delay: 100, jitter: false },
    ...TERMS,
  });
  const seen = nothing();
  const clientEvents: string[] = [];
  client.on("error", (error) => void errors.push(error));
  for (const event of ["connect", "suspended", "resumed", "disconnect"] as const) {
    client.on(event, () => void clientEvents.push(event));
  }
  client.route(NEWS, ({ data }) => void seen.client.push(data));
  client.route(ASK, ({ data }) => {
    seen.client.push(data);
    return `${data}, says the client`;
  });
  await advanceUntil(clock, client.connect());
  const stream = client.open(TALK);
  const talking = [write("client", stream.writable), read(stream.readable).then((text) => seen.down = text)];
  const asking: Promise<unknown>[] = [];
  for (let n = 0; n < MESSAGES; n++) {
    client.send(NEWS, `${n} from the client${" ".repeat(50)}`);
    if (n < REQUESTS) asking.push(client.request(ASK, `${n} of the client`).then((text) => seen.answers.push(text)));
  }
  await advanceUntil(clock, Promise.all([...talking, ...asking, stream.result.then((text) => seen.result = text)]));
  const known = [...bySession].find(([, { up }]) => up !== "")!;
  const all = (): boolean => known[1].server.length === MESSAGES + REQUESTS && known[1].asked.length === REQUESTS;
  for (let i = 0; i < 20 && !(all() && seen.client.length === MESSAGES + REQUESTS); i++) await clock.advance(100);
  await advanceUntil(clock, client.close({ drain: 5_000 }));
  // A session that its client has never known of, or whose end was cut off, ends later.
  while (server.stats().connections > 0) await clock.advance(1_000);
  await advanceUntil(clock, server.close({ drain: 0 }));
  await clock.settle();
  assertEquals(clock.pending, 0, "timers");
  Object.assign(seen, { server: known[1].server, asked: known[1].asked, up: known[1].up });
  // The messages of the server name its session.
  seen.client.forEach((text, i) => seen.client[i] = text.replace(`of ${known[0]} `, "of 1 "));
  const unknown = [...serverEvents.keys()].filter((id) => id !== known[0]).map((id) => bySession.get(id) ?? nothing());
  return { seen, unknown, clientEvents, serverEvents, sizes, errors };
}

/** Compares a conversation that was cut with the one that was not. Returns how often its session was suspended. */
function judge(whole: Conversation, cut: Conversation, what: string): number {
  const { clientEvents, errors, seen, serverEvents, unknown } = cut;
  assertEquals(seen, whole.seen, what);
  assertEquals(errors, [], what);
  const clients = clientEvents.join(" ");
  // Only the goodbye may be cut off.
  assert(/^(disconnect )?connect( suspended resumed)*( suspended)? disconnect$/.test(clients), `${what}: ${clients}`);
  for (const events of serverEvents.values()) {
    const text = events.join(" ");
    assert(/^connect( suspended resumed)*( suspended)? disconnect$/.test(text), `${what}: ${text}`);
  }
  // Of a session that its client does not know nothing has come, and its requests have failed.
  for (const other of unknown) {
    assertEquals(other, { ...nothing(), asked: ["ConnectionError", "ConnectionError"] }, what);
  }
  return clientEvents.filter((event) => event === "suspended").length;
}

/** How the connection is cut after so many bytes. Ends without a reset are rarer. */
function ways(bytes: number): readonly ("reset" | "close")[] {
  return bytes % 7 === 0 ? ["reset", "close"] : ["reset"];
}

/** A cut of one direction of one connection. */
function at(index: number, side: Side, bytes: number, how: "reset" | "close"): MemoryOptions["faults"] {
  return (info) => info.index === index && info.side === side ? cutAfter(bytes, how) : undefined;
}

describe("a conversation that is cut", () => {
  for (const side of ["client", "server"] as const) {
    it(`is the same after each byte of the ${side}`, async () => {
      const whole = await converse();
      const [size] = whole.sizes;
      assertEquals([whole.sizes.length, whole.errors, whole.unknown], [1, [], []]);
      assertEquals(whole.seen.down.length + whole.seen.up.length, 2 * CHUNKS * CHUNK);
      assert(size.handshake[side] > 100 && size[side] > size.handshake[side] + CHUNKS * CHUNK, JSON.stringify(size));
      let suspended = 0;
      let renewed = 0;
      for (let bytes = 0; bytes <= size[side]; bytes++) {
        if (!isSampled(bytes)) continue;
        for (const how of ways(bytes)) {
          const what = `${how} after ${bytes} bytes of the ${side}`;
          const told = await converse(at(0, side, bytes, how));
          const times = judge(whole, told, what);
          if (times > 0) suspended++;
          else if (told.sizes.length > 1) renewed++;
          // Who knows of its session comes back to it, and who does not begins another one.
          if (times > 0) assertEquals(told.unknown.length, 0, what);
          if (bytes < size.handshake[side]) assertEquals(times, 0, what);
        }
      }
      assert(suspended > 130 && renewed > 15, `${suspended} ${renewed}`);
    });

    it(`is the same where the comeback is cut after each byte of the ${side}, too`, async () => {
      const whole = await converse();
      const first = at(0, "client", whole.sizes[0].handshake.client + 700, "reset")!;
      const back = await converse(first);
      assertEquals([back.sizes.length, judge(whole, back, "")], [2, 1]);
      const most = back.sizes[1].handshake[side] + 200;
      for (let bytes = 0; bytes <= most; bytes++) {
        if (!isSampled(bytes)) continue;
        for (const how of ways(bytes)) {
          const second = at(1, side, bytes, how)!;
          const told = await converse((info) => first(info) ?? second(info));
          judge(whole, told, `${how} after ${bytes} bytes of the ${side}`);
          assertEquals([told.sizes.length, told.unknown.length], [3, 0], `${bytes}`);
        }
      }
    });
  }
});
