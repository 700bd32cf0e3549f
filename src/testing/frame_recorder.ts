/**
 * Records and decodes what goes over the wire. Shows it as text that is the same in every run, for snapshot tests.
 *
 * @module
 */

import type { AnyMessageType } from "../message/message_type.ts";
import type { ChunkReader, ChunkWriter, Connection, Listener, Transport } from "../transport.ts";
import { AssertionError } from "./assertion.ts";
import { Conversation, type RecordedFrame } from "./recorded_conversation.ts";
import { headOf, payloadText } from "./frame_text.ts";
import { SystemCode } from "../wire/frame.ts";

export type { RecordedFrame } from "./recorded_conversation.ts";

/**
 * Options of a {@linkcode FrameRecorder}; all optional.
 *
 * @category Testing
 */
export interface FrameRecorderOptions {
  /** The message and stream types in use. The text then has their names. @default codes only */
  readonly types?:
    | Readonly<Record<string, { readonly code: number; readonly name: string }>>
    | readonly AnyMessageType[];
  /**
   * The side whose connections are recorded: those that `connect` opens, or those that a listener accepts. On a network
   * inside the program, both sides see the same.
   * @default "client"
   */
  readonly side?: "client" | "server";
  /**
   * The protocol of connections whose handshake does not say it. These are the connections of Python's releases up to
   * 1.7.
   * @default they are shown as bytes
   */
  readonly protocol?: string;
}

/**
 * Options of {@linkcode FrameRecorder.text}; all optional.
 *
 * @category Testing
 */
export interface FrameTextOptions {
  /** False to leave out the handshakes. @default true */
  readonly handshakes?: boolean;
  /** True to show CREDIT, ACK and WINDOW frames, too. When they come may differ between runs. @default false */
  readonly credit?: boolean;
  /** Called for each line. Returns the line to show, or `undefined` for none. @default all lines are shown */
  readonly replace?: (line: string) => string | undefined;
}

const CREDIT: readonly (number | undefined)[] = [SystemCode.ACK, SystemCode.CREDIT, SystemCode.WINDOW];

/**
 * Records the frames of a transport. Encrypted connections are recorded as bytes.
 *
 * @example A snapshot of what a program says
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { json, messageType } from "@veltix/core";
 * import { connect, FrameRecorder, memoryWorld, serve } from "@veltix/core/testing";
 *
 * const ADD = messageType(201, "add", json<{ a: number; b: number }>(), json<number>());
 *
 * const world = memoryWorld();
 * const frames = new FrameRecorder(world.transport, { types: { ADD } });
 * await using served = await serve({ world }, (server) => server.route(ADD, ({ data }) => data.a + data.b));
 * await using connected = await connect(served, { transport: frames.transport });
 * await connected.client.request(ADD, { a: 1, b: 2 });
 * assertEquals(
 *   frames.text({ handshakes: false }),
 *   `1 > request 201 add #1 {"a":1,"b":2}
 * 1 < reply 201 add #1 "3"`,
 * );
 * ```
 *
 * @category Testing
 */
export class FrameRecorder {
  /** The transport to give to the Server or Client whose frames are recorded. */
  readonly transport: Transport;
  readonly #conversations: Conversation[] = [];
  readonly #entries: RecordedFrame[] = [];
  readonly #protocol: string | undefined;
  readonly #names: ReadonlyMap<number, string>;

  /**
   * Begins to record what goes over the connections of {@linkcode FrameRecorder.transport}.
   *
   * @param transport The transport that makes the connections.
   * @param options What to record.
   */
  constructor(transport: Transport, { protocol, side = "client", types = {} }: FrameRecorderOptions = {}) {
    this.#protocol = protocol;
    this.#names = new Map(Object.values(types).map(({ code, name }) => [code, name]));
    this.transport = side === "client"
      ? { ...transport, connect: async (to, options) => this.#tap(await transport.connect(to, options), "client") }
      : { ...transport, listen: async (at, options) => this.#listener(await transport.listen(at, options)) };
  }

  /** What was sent so far, in the order in which this side saw it. */
  get entries(): readonly RecordedFrame[] {
    return this.#entries;
  }

  /** Forgets what was recorded. Connections keep their numbers. */
  clear(): void {
    this.#entries.length = 0;
  }

  /**
   * Returns what was recorded as text, with a line for each frame. A line has the number of the connection, `>` for
   * what the client sent or `<` for what the server sent, and the frame. What differs between two runs is replaced:
   * versions, nonces, keys and UUIDs. Random ids are numbered in the order in which they came.
   */
  text({ credit = false, handshakes = true, replace = (line) => line }: FrameTextOptions = {}): string {
    return this.#entries.filter(({ frame, kind }) =>
      (handshakes || kind !== "handshake") && (credit || !CREDIT.includes(frame?.code))
    ).map((entry) => replace(this.#line(entry))).filter((line) => line !== undefined).join("\n");
  }

  /**
   * Returns the first frame with this code that was not found before.
   *
   * @param code The type code.
   * @param from The side that sent it. @default either
   * @throws {AssertionError} There is none. The message of the error lists what was sent.
   */
  find(code: number, from?: "client" | "server"): RecordedFrame {
    const found = this.#entries.find((entry) =>
      entry.frame?.code === code && (from === undefined || entry.from === from) && !this.#found.has(entry)
    );
    if (found === undefined) {
      const who = from === undefined ? "" : ` of the ${from}`;
      throw new AssertionError(`Expected a frame${who} with code ${code}, but what was sent is\n${this.text()}`);
    }
    this.#found.add(found);
    return found;
  }

  readonly #found = new WeakSet<RecordedFrame>();

  #line({ connection, frame, from, id, kind, text }: RecordedFrame): string {
    const arrow = `${connection} ${from === "client" ? ">" : "<"}`;
    if (frame === undefined) return `${arrow} ${kind}${text === "" ? "" : ` ${text}`}`;
    const head = headOf(frame, (code) => this.#names.get(code), id);
    const payload = text ?? payloadText(frame.content);
    return `${arrow} ${head} ${payload}`.trimEnd();
  }

  #tap(connection: Connection, side: "client" | "server"): Connection {
    const conversation = new Conversation(this.#conversations.length + 1, this.#entries, this.#protocol);
    this.#conversations.push(conversation);
    const peer = side === "client" ? "server" : "client";
    const write = connection.write.bind(connection);
    const writeTo = connection.writeTo?.bind(connection);
    const closeWrite = connection.closeWrite.bind(connection);
    const read = connection.read.bind(connection);
    const readTo = connection.readTo?.bind(connection);
    let ended = false;
    const came = (chunk: Uint8Array | null): void => {
      if (chunk !== null) conversation.push(peer, chunk);
      else if (!ended) conversation.end(peer);
      ended ||= chunk === null;
    };
    let finished = false;
    let within = false;
    return Object.assign(
      connection,
      {
        write: (bytes: Uint8Array) => {
          conversation.push(side, bytes);
          // A connection of somebody else's may use `writeTo` of its own.
          within = true;
          try {
            return write(bytes);
          } finally {
            within = false;
          }
        },
        ...writeTo === undefined ? {} : {
          writeTo(bytes: Uint8Array, writer: ChunkWriter): void {
            if (!within) conversation.push(side, bytes);
            writeTo(bytes, writer);
          },
        },
        closeWrite: () => {
          if (!finished) conversation.end(side);
          finished = true;
          return closeWrite();
        },
        async read(): Promise<Uint8Array | null> {
          // It may use `readTo` of the same connection.
          within = true;
          const reading = read();
          within = false;
          const chunk = await reading;
          came(chunk);
          return chunk;
        },
        ...readTo === undefined ? {} : {
          readTo(reader: ChunkReader): void {
            if (within) return readTo(reader);
            readTo({
              received: (chunk, error) => {
                if (error === undefined) came(chunk);
                reader.received(chunk, error);
              },
            });
          },
        },
      } satisfies Partial<Connection>,
    );
  }

  #listener(listener: Listener): Listener {
    const tap = (connection: Connection): Connection => this.#tap(connection, "server");
    return {
      address: listener.address,
      close: () => listener.close(),
      unref: () => listener.unref(),
      [Symbol.asyncDispose]: () => listener.close(),
      async *[Symbol.asyncIterator](): AsyncGenerator<Connection> {
        for await (const connection of listener) yield tap(connection);
      },
    };
  }
}
