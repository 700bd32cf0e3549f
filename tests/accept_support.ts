/**
 * The part that the tests of accepted connections share: a server that listens nowhere, a client of any connection, and
 * all that the two say to each other.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  bytes,
  Client,
  type ClientConfig,
  type Connection,
  json,
  type MessageType,
  messageType,
  Server,
  type ServerConfig,
  type StreamType,
  streamType,
  text,
  type Transport,
} from "../mod.ts";
import { Lines, Recorder } from "./session_support.ts";

export const UPPER: MessageType<string, string, string, string> = messageType(200, "upper", text, text);
export const ECHO: MessageType<Uint8Array, Uint8Array, Uint8Array, Uint8Array> = messageType(201, "echo", bytes, bytes);
/** What the server asks the client. */
export const ASK: MessageType<string, string, string, string> = messageType(202, "ask", text, text);

type Head = { readonly add: number };
/** Sends back each byte with something added to it. The result is how many there were. */
export const SHIFT: StreamType<Head, Head, Uint8Array, Uint8Array, Uint8Array, Uint8Array, number, number> = streamType(
  300,
  "shift",
  { head: json<Head>(), result: json<number>() },
);

/** A server that listens nowhere, or where it is told, with its events and its log. */
export interface Served<P> extends AsyncDisposable {
  readonly server: Server<P>;
  readonly events: Recorder;
  readonly log: Lines;
}

/** Adds the routes of the server. */
export function answer<P>(server: Server<P>): void {
  server.route(UPPER, ({ data }) => data.toUpperCase());
  server.route(ECHO, ({ data }) => data);
  server.stream(SHIFT, async ({ head, readable, writable }) => {
    const writer = writable.getWriter();
    let count = 0;
    for await (const chunk of readable) {
      count += chunk.length;
      await writer.write(chunk.map((byte) => byte + head.add));
    }
    await writer.close();
    return count;
  });
}

/** Starts a server. */
export async function serve<P = undefined>(config: ServerConfig<P> = {}): Promise<Served<P>> {
  const log = new Lines();
  const server = new Server<P>({ listen: [], logger: log, ...config });
  const events = new Recorder(server, [
    "handshake",
    "connect",
    "disconnect",
    "suspended",
    "resumed",
    "rejected",
    "error",
  ]);
  answer(server);
  await server.start();
  return { server, events, log, [Symbol.asyncDispose]: () => server.close({ drain: 0 }) };
}

/** A transport that opens connections in some way, and does not listen. */
export function opening(connect: Transport["connect"]): Transport {
  return { name: "opening", connect, listen: () => Promise.reject(new Error("It only connects")) };
}

/** Makes a client whose connections are opened in some way. */
export function clientOver(open: () => Connection | Promise<Connection>, config: ClientConfig = {}): Client {
  const client = new Client({ transport: opening(async () => await open()), logger: new Lines(), ...config });
  client.route(ASK, ({ data }) => `${data}!`);
  return client;
}

/** Bytes that differ from their neighbours. */
export function noise(size: number): Uint8Array {
  return new Uint8Array(size).map((_, i) => i * 7 ^ i >> 8);
}

/** Lets a client and its server talk: requests both ways, large ones and many at once, and a stream in both directions. */
export async function converse(server: Server<unknown>, client: Client): Promise<void> {
  await talk(client);
  assertEquals(await server.clients.at(-1)!.request(ASK, "well"), "well!");
}

/** Lets a client ask its server for what {@linkcode answer} has. */
export async function talk(client: Client): Promise<void> {
  assertEquals(await client.request(UPPER, "hello"), "HELLO");
  const large = noise(1_500_000);
  assertEquals(await client.request(ECHO, large, { timeout: 30_000 }), large);
  const many = await Promise.all(Array.from({ length: 200 }, (_, i) => client.request(UPPER, `a${i}`)));
  assertEquals(many.at(-1), "A199");
  const stream = client.open(SHIFT, { add: 3 });
  const sent = noise(700_000);
  const [back] = await Promise.all([collect(stream.readable), write(stream.writable, sent)]);
  assertEquals(await stream.result, sent.length);
  assert(back.length === sent.length && back.every((byte, i) => byte === (sent[i] + 3 & 255)), "the bytes came back");
}

async function write(writable: WritableStream<Uint8Array>, bytes: Uint8Array): Promise<void> {
  const writer = writable.getWriter();
  for (let at = 0; at < bytes.length; at += 30_000) await writer.write(bytes.subarray(at, at + 30_000));
  await writer.close();
}

async function collect(readable: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const all: number[] = [];
  for await (const chunk of readable) for (const byte of chunk) all.push(byte);
  return Uint8Array.from(all);
}
