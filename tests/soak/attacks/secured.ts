/**
 * Attacks on a server whose connections are encrypted or TLS: strangers that stop somewhere in the handshake or send what is
 * none, whole handshakes one after the other, and peers that were let in and send records that no good peer sends.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect, createServer, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { nodeTransport } from "../../../src/adapters/node.ts";
import { encryption } from "../../../src/encryption/encrypt.ts";
import { ClientNoise } from "../../../src/encryption/handshake/client.ts";
import type { Connection } from "../../../src/transport.ts";
import { NODE } from "../../encryption_support.ts";
import { CA } from "../../tls_support.ts";
import { clientProtection } from "./protection.ts";
import { frame, nativeAnswer, sleep } from "./raw_peer.ts";

/** How to attack. */
export interface SecuredAttack {
  /** The server's port, at 127.0.0.1. */
  readonly port: number;
  /** For how long, in milliseconds. */
  readonly ms: number;
}

const HOST = "127.0.0.1";
const NOTHING = new Uint8Array(0);
const FEATURES = { credit: { window: 4_194_304, least: 0 }, goaway: {} };
/** How much is written at once, in bytes. */
const CHUNK = 65_536;
/** The size of a record with one byte. */
const ONE_BYTE_RECORD = 19;
/** How long who was refused waits before the next try, in milliseconds. */
const PAUSE = 5;

/** A hello and message 1 of the encryption. They may be sent again and again. */
export const OPENING: Uint8Array = (() => {
  const machine = new ClientNoise({ primitives: NODE, verify: () => true, answer: () => NOTHING });
  return (machine.start() as { readonly send: Uint8Array }).send;
})();

/** The beginning of a hello of TLS, which announces more. */
export const HALF_HELLO: Uint8Array = Uint8Array.of(0x16, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, ...new Array(32).fill(7));

/** What comes in place of message 1: none of the right kind, one that is too long, and one that is followed by more. */
const NO_OPENINGS: readonly Uint8Array[] = [
  Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
  nativeAnswer(FEATURES),
  HALF_HELLO,
  Uint8Array.of(...OPENING.subarray(0, 5), 0xff, 0xff, ...new Array(100).fill(7)),
  Uint8Array.of(...OPENING, ...new Array(500).fill(7)),
];
/** What comes in place of message 3: 17 KiB, and more behind them. */
const NO_MESSAGE_3: Uint8Array = Uint8Array.of(0x44, 0, ...new Array(60_000).fill(7));
/** What comes in place of a hello of TLS. */
const NO_HELLOS: readonly Uint8Array[] = [
  Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
  OPENING,
  Uint8Array.of(0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5),
  Uint8Array.of(0x16, 3, 1, 0xff, 0xff, ...new Array(20_000).fill(1)),
  Uint8Array.of(0x16, 3, 3, 0, 4, 0, 0, 0, 0),
];

/** A whole hello of TLS, as a client of this runtime sends it. It may be sent again and again. */
export async function helloOfTls(): Promise<Uint8Array> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  const { port } = server.address() as { port: number };
  const client = connectTls({ port, host: HOST, servername: "localhost", ALPNProtocols: ["veltix"] });
  client.on("error", () => {});
  const socket = await new Promise<Socket>((resolve) => server.once("connection", resolve));
  const hello = await new Promise<Uint8Array>((resolve) => socket.once("data", resolve));
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

/** Opens as many connections as told within half of the time; each sends something and then no more. */
export async function stop({ port, ms }: SecuredAttack, count: number, bytes: Uint8Array): Promise<string> {
  const sockets = new Set<Socket>();
  const start = performance.now();
  let opened = 0;
  while (performance.now() - start < ms) {
    const due = Math.min(count, (performance.now() - start) / ms * 2 * count);
    for (; opened < due; opened++) stranger(port, bytes, sockets);
    await sleep(1);
  }
  const left = sockets.size;
  for (const socket of sockets) socket.destroy();
  return `${opened} strangers, ${left} of them there at the end`;
}

/** So many connections a second that send what is no handshake of the encryption, in place of message 1 and of message 3. */
export function sendNoMessages(attack: SecuredAttack, rate: number): Promise<string> {
  return strangers(attack, rate, (i, sockets) => {
    const kind = i % (NO_OPENINGS.length + 1);
    if (kind < NO_OPENINGS.length) return stranger(attack.port, NO_OPENINGS[kind], sockets);
    const socket = stranger(attack.port, OPENING, sockets);
    let heard = 0;
    socket.on("data", (chunk: Uint8Array) => {
      // Message 2 follows the hello.
      if (heard <= 5 && heard + chunk.length > 5) socket.write(NO_MESSAGE_3);
      heard += chunk.length;
    });
    return socket;
  });
}

/** So many connections a second that send what is no handshake of TLS, or half of one. */
export function sendNoHellos(attack: SecuredAttack, rate: number): Promise<string> {
  return strangers(
    attack,
    rate,
    (i, sockets) => stranger(attack.port, NO_HELLOS[i % NO_HELLOS.length], sockets),
  );
}

/** Does whole handshakes of the encryption, and leaves after each. */
export function floodEncryption({ port, ms }: SecuredAttack, atOnce: number): Promise<string> {
  return again(atOnce, ms, async () => {
    const connection = await enter(port);
    connection.abort();
  });
}

/** Does whole handshakes of TLS, and leaves after each. */
export function floodTls({ port, ms }: SecuredAttack, atOnce: number): Promise<string> {
  return again(atOnce, ms, async () => {
    const [tls, socket] = await enterTls(port);
    tls.destroy();
    socket.destroy();
  });
}

/** Is let in, sends records of which one has a flipped bit, and comes again. */
export function flipBits({ port, ms }: SecuredAttack, atOnce: number): Promise<string> {
  let place = 0;
  return again(atOnce, ms, async () => {
    let flips = false;
    const connection = await enter(port, (raw) => ({
      write(bytes): Promise<void> {
        if (flips) bytes[place++ % bytes.length] ^= 1;
        return raw.write(bytes);
      },
    }));
    const message = frame(300, 0, 0, new Uint8Array(400));
    await connection.write(message);
    flips = true;
    await connection.write(message);
    await ended(connection, 1_000);
  });
}

/** Is let in, and sends messages of one byte, each byte in a record of its own. */
export function sendOneByteRecords({ port, ms }: SecuredAttack, atOnce: number): Promise<string> {
  const end = performance.now() + ms;
  return again(atOnce, ms, async () => {
    let gathered: Uint8Array[] | undefined;
    let raw: Connection | undefined;
    const connection = await enter(port, (below) => {
      raw = below;
      return {
        write: (bytes) => gathered === undefined ? below.write(bytes) : (gathered.push(bytes), Promise.resolve()),
      };
    });
    void ended(connection, ms).catch(() => {});
    const message = frame(300, 0, 0, Uint8Array.of(1));
    // The first of them would keep this process so busy that the others come too late.
    await sleep(end - performance.now() - ms * 0.8);
    while (performance.now() < end) {
      gathered = [];
      for (let size = 0; size < CHUNK; size += message.length * ONE_BYTE_RECORD) {
        for (let at = 0; at < message.length; at++) await connection.write(message.subarray(at, at + 1));
      }
      const bytes = Buffer.concat(gathered);
      gathered = undefined;
      await Promise.race([raw!.write(bytes), sleep(Math.max(0, end - performance.now()))]);
    }
    connection.abort();
  });
}

/** Is let in, begins a large record, and sends a byte of it from time to time. */
export function trickle({ port, ms }: SecuredAttack, atOnce: number): Promise<string> {
  const end = performance.now() + ms;
  return again(atOnce, ms, async () => {
    let raw: Connection | undefined;
    const connection = await enter(port, (below) => {
      raw = below;
      return {};
    });
    void ended(connection, ms).catch(() => {});
    await raw!.write(Uint8Array.of(0xff, 0xff));
    while (performance.now() < end) {
      await raw!.write(Uint8Array.of(7));
      await sleep(Math.min(100, end - performance.now()));
    }
    connection.abort();
  });
}

/** Agrees on TLS, sends records beside it as if to begin anew, and comes again. */
export function disturbTls({ port, ms }: SecuredAttack, atOnce: number): Promise<string> {
  const records = [
    HALF_HELLO,
    Uint8Array.of(0x14, 3, 3, 0, 1, 1),
    Uint8Array.of(0x15, 3, 3, 0, 2, 1, 100),
    Uint8Array.of(0x17, 3, 3, 0, 40, ...new Array(40).fill(3)),
    Uint8Array.of(0x17, 3, 3, 0xff, 0xff, ...new Array(30_000).fill(3)),
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
  ];
  let turn = 0;
  return again(atOnce, ms, async () => {
    const [tls, socket, beside] = await enterTls(port);
    const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    beside(records[turn++ % records.length]);
    await Promise.race([gone, sleep(1_000)]);
    tls.destroy();
    socket.destroy();
  });
}

/** Opens a connection and is let in. `change` replaces parts of the connection below the encryption. */
async function enter(port: number, change: (raw: Connection) => Partial<Connection> = () => ({})): Promise<Connection> {
  const to = { hostname: HOST, port };
  const raw = await nodeTransport().connect(to);
  const below: Connection = {
    local: raw.local,
    remote: raw.remote,
    closed: raw.closed,
    read: () => raw.read(),
    write: (bytes) => raw.write(bytes),
    closeWrite: () => raw.closeWrite(),
    abort: (reason) => raw.abort(reason),
    unref: () => raw.unref(),
    ...change(raw),
  };
  try {
    const { encryption: options } = clientProtection("encryption");
    const connection = await encryption().client(options!).connect(below, to, () => nativeAnswer(FEATURES));
    if (await connection.read() === null) throw new Error("It was not let in");
    return connection;
  } catch (error) {
    raw.abort();
    throw error;
  }
}

/** Agrees on TLS. Also returns the socket below, and what sends bytes beside TLS. */
function enterTls(port: number): Promise<[TLSSocket, Socket, (bytes: Uint8Array) => void]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: HOST, allowHalfOpen: true });
    const tls = connectTls({ socket, ca: CA, servername: "localhost", ALPNProtocols: ["veltix"] });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error("It was closed")));
    tls.on("error", reject);
    tls.resume();
    tls.once("secureConnect", () => resolve([tls, socket, (bytes) => void socket.write(bytes)]));
  });
}

/** Reads until the other side ends the connection, for some time at most. */
async function ended(connection: Connection, limit: number): Promise<void> {
  const late = sleep(limit).then(() => null);
  try {
    while (await Promise.race([connection.read(), late]) !== null);
  } catch {
    // It was cut.
  }
  connection.abort();
}

/** Does something over and over, so many of it at once. Tells how often it worked. */
async function again(atOnce: number, ms: number, task: () => Promise<void>): Promise<string> {
  const end = performance.now() + ms;
  let [good, bad] = [0, 0];
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (performance.now() < end) {
      try {
        await task();
        good++;
      } catch {
        bad++;
        await sleep(PAUSE);
      }
    }
  }));
  return `${good} times, ${bad} refused`;
}

/** Opens connections at a rate; what could not be done in time is not made up for. */
async function strangers(
  { ms }: SecuredAttack,
  rate: number,
  one: (i: number, sockets: Set<Socket>) => Socket,
): Promise<string> {
  const sockets = new Set<Socket>();
  const start = performance.now();
  let opened = 0;
  let skipped = 0;
  while (performance.now() - start < ms) {
    const due = (performance.now() - start) / 1_000 * rate - skipped;
    if (due - opened > rate / 10) skipped += Math.floor(due - opened - rate / 10);
    else for (; opened < due; opened++) one(opened, sockets);
    await sleep(1);
  }
  const left = sockets.size;
  for (const socket of sockets) socket.destroy();
  return `${opened} strangers, ${left} of them there at the end`;
}

/** A connection that sends bytes at once and reads what comes. */
function stranger(port: number, bytes: Uint8Array, sockets: Set<Socket>): Socket {
  const socket = connect({ host: HOST, port }, () => {
    if (bytes.length > 0) socket.write(bytes);
  });
  sockets.add(socket);
  socket.on("error", () => {});
  socket.on("end", () => socket.destroy());
  socket.on("close", () => sockets.delete(socket));
  socket.resume();
  return socket;
}
