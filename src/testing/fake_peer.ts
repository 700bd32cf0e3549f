/**
 * A peer that a test drives by hand, frame by frame: a server or a client of the native protocol or of a Python
 * release. What it sends may be wrong, if the test wants that.
 *
 * @module
 */

import { concat } from "../base/concat.ts";
import { realTime } from "../base/real_time.ts";
import type { Address, TcpEndpoint } from "../base/address.ts";
import type { Connection, Listener } from "../transport.ts";
import type { DecodedFrame } from "../wire/decoded_frame.ts";
import { SystemCode } from "../wire/frame.ts";
import { helloFrame, helloVersion } from "../wire/python/hello_frames.ts";
import { type Protocol, protocol } from "../wire/protocols.ts";
import { AssertionError } from "./assertion.ts";
import { encodeRaw, FrameSplitter, type RawFrame } from "./frame_splitter.ts";
import { frameText, payloadText } from "./frame_text.ts";
import { matches, show } from "./values.ts";
import type { World } from "./worlds.ts";

/** The id of a HELLO where ids are UUIDs, and where they are numbers. */
const HELLO_UUID = "00112233-4455-4677-8899-aabbccddeeff";
const HELLO_ID = 77;

/** How long a peer waits for a frame where time is real, in milliseconds. */
const PATIENCE = 5_000;

/** Frames of the library that come at moments which no test should depend on. */
const OWN: readonly number[] = [SystemCode.ACK, SystemCode.CREDIT, SystemCode.WINDOW];

/**
 * What a fake peer announces in its handshake.
 *
 * @category Testing
 */
export interface Announced {
  /** The features that a native peer offers, by name, with their parameters. @default none */
  readonly features?: Readonly<Record<string, unknown>>;
  /** The largest frame that a native peer takes, in bytes. @default 10485760 */
  readonly maxMessageSize?: number;
  /** The number of ids that a server of Python's 2.0 uses. @default 30000 */
  readonly idWindow?: number;
}

/**
 * What a frame is expected to be. What is left out may be anything.
 *
 * @category Testing
 */
export interface ExpectedFrame {
  /** The type code. Frames of CREDIT, ACK and WINDOW are skipped unless one of them is expected. */
  readonly code?: number;
  /** The payload: bytes, a text, or what its JSON must contain. */
  readonly content?: unknown;
  /** The id. */
  readonly requestId?: number | string;
  /** The flags, combined with bitwise OR. */
  readonly flags?: number;
}

/**
 * Options of {@linkcode FakePeer.expect}.
 *
 * @category Testing
 */
export interface ExpectOptions {
  /**
   * How long to wait, in milliseconds. A fake clock is moved on by as much, if needed. Without one, it waits in real
   * time.
   * @default 0 with a fake clock in memory, which waits for what can happen now; otherwise 5000
   */
  readonly within?: number;
}

/**
 * One end of a connection whose other end is a Server or a Client. `await using` ends it with a reset.
 *
 * @example A client, by hand
 * ```ts
 * import { messageType, text } from "@veltix/core";
 * import { FakePeer, serve } from "@veltix/core/testing";
 *
 * const SHOUT = messageType(200, "shout", text, text);
 *
 * await using served = await serve({}, (server) => server.route(SHOUT, ({ data }) => data.toUpperCase()));
 * await using peer = await FakePeer.connect(served.world, served.address);
 * await peer.send({ code: 200, flags: 1, requestId: 1, content: "hi" });
 * await peer.expect({ code: 200, flags: 2, requestId: 1, content: "HI" });
 * await peer.silence(1_000);
 * await peer.close();
 * ```
 *
 * @category Testing
 */
export class FakePeer implements AsyncDisposable {
  /** The connection itself, for what has no method here. */
  readonly connection: Connection;
  /** What it speaks: `"native"`, or a Python release such as `"2.0.0"`. */
  readonly release: string;
  /** The wire protocol of what it speaks. */
  readonly protocol: Protocol;
  readonly #world: World | undefined;
  readonly #splitter: FrameSplitter;
  #held: Uint8Array = new Uint8Array(0);
  #frames: DecodedFrame[] = [];
  #reading: Promise<DecodedFrame | null> | undefined;

  /**
   * Takes over a connection, before anything was sent over it.
   *
   * @param connection The connection.
   * @param release What to speak.
   * @param world The world that the connection is in, for the time.
   */
  constructor(connection: Connection, release: string = "native", world?: World) {
    this.connection = connection;
    this.release = release;
    this.protocol = protocol(release);
    this.#world = world;
    this.#splitter = new FrameSplitter(this.protocol);
  }

  /**
   * Connects to a server and shakes hands.
   *
   * @param world Where the server is.
   * @param to Its address.
   * @param release What to speak: `"native"`, or a Python release that the server speaks.
   * @param announced What to announce.
   */
  static async connect(
    world: World,
    to: Address,
    release: string = "native",
    announced: Announced = {},
  ): Promise<FakePeer> {
    const peer = new FakePeer(await world.transport.connect(to), release, world);
    await peer.agreeAsClient(announced);
    return peer;
  }

  /** Does the handshake of a client. */
  async agreeAsClient({ features = {}, maxMessageSize = 10_485_760 }: Announced = {}): Promise<void> {
    const { connection, protocol, release } = this;
    if (protocol.handshake === "hello") {
      const hello = await this.frame();
      if (hello?.code !== SystemCode.HELLO) throw unexpected("HELLO", hello);
      await connection.write(helloFrame(protocol, SystemCode.HELLO_ACK, hello.requestId, 0, release));
    } else if (protocol.name === "native") {
      await this.message();
      const native = { versions: [1], features, maxMessageSize };
      await connection.write(handshakeMessage({ v: "2.0.0", meta: { native } }));
      accepted(await this.message());
    } else if (protocol.handshake === "json") {
      await this.message();
      await connection.write(handshakeMessage({ v: release, meta: {} }));
      accepted(await this.message());
    }
  }

  /** Does the handshake of a server. */
  async agreeAsServer(
    { features = {}, maxMessageSize = 10_485_760, idWindow = 30_000 }: Announced = {},
  ): Promise<void> {
    const { connection, protocol, release } = this;
    if (protocol.handshake === "hello") {
      const id = protocol.ids === "uuid" ? HELLO_UUID : HELLO_ID;
      await connection.write(helloFrame(protocol, SystemCode.HELLO, id, 0, release));
      const answer = await this.frame();
      const right = answer?.code === SystemCode.HELLO_ACK && answer.requestId === id &&
        helloVersion(answer.content) === release;
      if (!right) throw unexpected(`HELLO_ACK #${id} ${JSON.stringify(release)}`, answer);
    } else if (protocol.name === "native") {
      const native = { versions: [1], features, maxMessageSize, nonce: "n" };
      await connection.write(handshakeMessage({ v: "2.0.0", meta: { id_window: idWindow, native } }));
      await this.message();
      await connection.write(handshakeMessage({ result: "ok", native: { version: 1, features } }));
    } else if (protocol.handshake === "json") {
      const meta = protocol.ids === "u16" ? { id_window: idWindow } : {};
      await connection.write(handshakeMessage({ v: release, meta }));
      const answer = await this.message();
      if (!matches(answer, { v: release, meta: {} })) {
        throw new AssertionError(`Expected a client of ${release}, got ${show(answer)}`, { actual: answer });
      }
      await connection.write(handshakeMessage({ result: "ok" }));
    }
  }

  /** Reads a JSON message of the handshake. */
  async message(): Promise<unknown> {
    const [high, low] = await this.bytes(2);
    return JSON.parse(new TextDecoder().decode(await this.bytes(high * 256 + low)));
  }

  /**
   * Reads exactly this many bytes. It can be called only before the first frame.
   *
   * @throws {AssertionError} The peer sent FIN before that.
   */
  async bytes(size: number): Promise<Uint8Array> {
    while (this.#held.length < size) {
      const chunk = await this.connection.read();
      if (chunk === null) {
        const missing = size - this.#held.length;
        throw new AssertionError(`Expected ${missing} bytes more, but the peer has closed its side (FIN)`);
      }
      this.#held = concat(this.#held, chunk.slice());
    }
    const bytes = this.#held.slice(0, size);
    this.#held = this.#held.slice(size);
    return bytes;
  }

  /** Reads the next frame, whatever it is; null after FIN. */
  async frame(): Promise<DecodedFrame | null> {
    const reading = this.#reading ?? this.#read();
    this.#reading = undefined;
    return await reading;
  }

  /**
   * Reads the next frame, which must be as expected.
   *
   * @param expected What it must be.
   * @param options How long to wait.
   * @returns The frame.
   * @throws {AssertionError} Another frame came, or FIN, or nothing.
   */
  async expect(expected: ExpectedFrame, options: ExpectOptions = {}): Promise<DecodedFrame> {
    const what = expectedText(expected);
    for (;;) {
      const frame = await this.#within(options.within, what);
      if (frame !== null && OWN.includes(frame.code) && frame.code !== expected.code) continue;
      if (frame !== null && fits(frame, expected)) return frame;
      throw unexpected(what, frame, expected);
    }
  }

  /**
   * Waits for this many milliseconds. Nothing but CREDIT, ACK and WINDOW may come in that time. A fake clock is moved
   * on by as much.
   *
   * @throws {AssertionError} A frame came, or FIN.
   */
  async silence(ms: number): Promise<void> {
    const { clock } = this.#world ?? {};
    const ended = clock === undefined ? pause(ms) : clock.advance(ms).then(() => clock.settle());
    for (;;) {
      const reading = this.#reading ??= this.#read();
      const frame = await Promise.race([reading, ended]);
      if (frame === undefined) return;
      this.#reading = undefined;
      if (frame === null || !OWN.includes(frame.code)) {
        await ended;
        throw unexpected(`nothing for ${ms} ms`, frame);
      }
    }
  }

  /** Encodes frames. Native ones may be wrong: their flags and ids are not checked. */
  encode(...frames: readonly RawFrame[]): Uint8Array {
    return concat(new Uint8Array(0), ...frames.map((frame) => encodeRaw(this.protocol, frame)));
  }

  /** Sends frames in one write. */
  send(...frames: readonly RawFrame[]): Promise<void> {
    return this.connection.write(this.encode(...frames));
  }

  /** Sends FIN, and reads to the end. Resolves when both sides have closed. */
  async close(): Promise<void> {
    await this.connection.closeWrite();
    await this.end();
  }

  /** Ends the connection at once. The other side sees a reset, or FIN if nothing was unread. */
  reset(): void {
    this.connection.abort();
  }

  /** Reads to the end. Returns `"fin"`, or the code of the error. After FIN it closes its own side, too. */
  async end(): Promise<string> {
    try {
      await this.#reading;
      this.#reading = undefined;
      while (await this.connection.read() !== null);
      await this.connection.closeWrite();
      return "fin";
    } catch (error) {
      return (error as { code?: string }).code ?? String(error);
    }
  }

  /** Resets the connection. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#reading?.catch(() => {});
    this.connection.abort();
    await this.connection.closed;
  }

  async #read(): Promise<DecodedFrame | null> {
    for (;;) {
      const held = this.#held;
      this.#held = new Uint8Array(0);
      if (held.length > 0) this.#frames.push(...this.#splitter.push(held));
      const frame = this.#frames.shift();
      if (frame !== undefined) return frame;
      const chunk = await this.connection.read();
      if (chunk === null) return null;
      this.#held = chunk;
    }
  }

  /** The next frame, if it comes in time. */
  async #within(ms: number | undefined, what: string): Promise<DecodedFrame | null> {
    const reading = this.#reading ??= this.#read();
    const { clock, lines } = (this.#world ?? {}) as { clock?: World["clock"]; lines?: unknown };
    let came = false;
    const done = reading.finally(() => void (came = true));
    done.catch(() => {});
    if (clock !== undefined && (lines !== undefined || ms !== undefined)) {
      await clock.settle();
      const end = clock.now() + (ms ?? 0);
      while (!came && clock.now() < end) await clock.advance(Math.min(end, clock.nextDue ?? end) - clock.now());
      await clock.settle();
    } else {
      const { clearTimeout, setTimeout } = realTime;
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, ms ?? PATIENCE);
      await Promise.race([done.then(() => {}, () => {}), promise]);
      clearTimeout(timer as never);
    }
    if (!came) throw new AssertionError(`Expected ${what}, but nothing came`);
    this.#reading = undefined;
    try {
      return await reading;
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      throw new AssertionError(`Expected ${what}, but the connection broke: ${show(error)}`, { actual: error });
    }
  }
}

/**
 * A server that a test drives by hand: it accepts the connections of a Client, and the test speaks for it.
 *
 * @example A client is told to leave
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client } from "@veltix/core";
 * import { FakeServer, memoryWorld } from "@veltix/core/testing";
 *
 * const world = memoryWorld();
 * await using server = await FakeServer.listen(world);
 * await using client = new Client({ ...server.address, transport: world.transport });
 * const [peer] = await Promise.all([server.welcome(), client.connect()]);
 * await peer.close();
 * assertEquals(client.state, "disconnected");
 * ```
 *
 * @category Testing
 */
export class FakeServer implements AsyncDisposable {
  /** Where it listens. */
  readonly address: TcpEndpoint;
  readonly #world: World;
  readonly #listener: Listener;
  readonly #connections: AsyncIterator<Connection>;

  private constructor(world: World, listener: Listener) {
    this.#world = world;
    this.#listener = listener;
    this.address = listener.address as TcpEndpoint;
    this.#connections = listener[Symbol.asyncIterator]();
  }

  /**
   * Listens.
   *
   * @param world The world to listen in.
   * @param at The address. @default a free port of 127.0.0.1
   */
  static async listen(world: World, at: TcpEndpoint = { hostname: "127.0.0.1", port: 0 }): Promise<FakeServer> {
    return new FakeServer(world, await world.transport.listen(at));
  }

  /** Accepts the next connection, and sends nothing yet. */
  async accept(release: string = "native"): Promise<FakePeer> {
    return new FakePeer((await this.#connections.next()).value, release, this.#world);
  }

  /** Accepts the next connection, and shakes hands. */
  async welcome(release: string = "native", announced?: Announced): Promise<FakePeer> {
    const peer = await this.accept(release);
    await peer.agreeAsServer(announced);
    return peer;
  }

  /** Stops listening. Connections stay open. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#listener.close();
  }
}

/**
 * Encodes a JSON message of the handshake, with its length before it.
 *
 * @category Testing
 */
export function handshakeMessage(value: unknown): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(value));
  return concat(new Uint8Array([json.length >> 8, json.length & 255]), json);
}

function accepted(decision: unknown): void {
  if (matches(decision, { result: "ok" })) return;
  throw new AssertionError(`Expected to be let in, but the server said ${show(decision)}`, { actual: decision });
}

function fits(frame: DecodedFrame, { code, content, flags, requestId }: ExpectedFrame): boolean {
  return (code === undefined || frame.code === code) && (flags === undefined || frame.flags === flags) &&
    (requestId === undefined || frame.requestId === requestId) &&
    (content === undefined || contains(frame.content, content));
}

function contains(bytes: Uint8Array, expected: unknown): boolean {
  if (expected instanceof Uint8Array) return matches(bytes, expected);
  const text = new TextDecoder().decode(bytes);
  if (typeof expected === "string" && text === expected) return true;
  try {
    return matches(JSON.parse(text), expected);
  } catch {
    return false;
  }
}

function expectedText({ code, content, flags, requestId }: ExpectedFrame): string {
  const parts = [
    code === undefined ? undefined : `code ${code}`,
    flags === undefined ? undefined : `flags 0x${flags.toString(16)}`,
    requestId === undefined ? undefined : `id ${requestId}`,
    content === undefined
      ? undefined
      : `content ${content instanceof Uint8Array ? payloadText(content) : show(content)}`,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? "a frame" : `a frame with ${parts.join(", ")}`;
}

function unexpected(what: string, came: DecodedFrame | null | undefined, expected?: unknown): AssertionError {
  if (!came) return new AssertionError(`Expected ${what}, but the peer has closed its side (FIN)`, { expected });
  const { code, content, flags, requestId } = came;
  const flagText = flags === 0 ? "" : ` (flags 0x${flags.toString(16)})`;
  return new AssertionError(`Expected ${what}, but got ${frameText(came)}${flagText}`, {
    actual: { code, flags, requestId, content },
    expected,
  });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void realTime.setTimeout(resolve, ms));
}
