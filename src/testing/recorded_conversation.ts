/**
 * Decodes both directions of a recorded connection: first its handshake, which tells the protocol, then its frames.
 *
 * @module
 */

import { concat } from "../base/concat.ts";
import type { DecodedFrame } from "../wire/decoded_frame.ts";
import { type Frame, SystemCode } from "../wire/frame.ts";
import { type Protocol, protocol } from "../wire/protocols.ts";
import { FrameSplitter } from "./frame_splitter.ts";
import { payloadText } from "./frame_text.ts";

/**
 * Something that was sent.
 *
 * @category Testing
 */
export interface RecordedFrame {
  /** The number of the connection. Connections are numbered from 1, in the order in which they were opened. */
  readonly connection: number;
  /** The side that sent it. */
  readonly from: "client" | "server";
  /** What it is: a message of the handshake, a frame, the end of what the side sends, or bytes that were not decoded. */
  readonly kind: "handshake" | "frame" | "fin" | "bytes";
  /** The frame; `undefined` for anything else. */
  readonly frame?: Frame;
  /** Its id as text. Random ids are numbered in the order in which they came. */
  readonly id?: string;
  /** What it says, without what differs between two runs. It is `undefined` for a frame whose payload says it. */
  readonly text?: string;
}

type Side = RecordedFrame["from"];

/** Values of handshakes that differ between two runs, or two releases of this library, by the name of the member. */
const CHANGING: Readonly<Record<string, string>> = { nonce: "<nonce>", id: "<id>", key: "<key>", v: "<version>" };

/** A connection that is recorded. */
export class Conversation {
  readonly #number: number;
  readonly #entries: RecordedFrame[];
  readonly #held: Record<Side, Uint8Array> = { client: new Uint8Array(0), server: new Uint8Array(0) };
  readonly #splitters: { [S in Side]?: FrameSplitter } = {};
  readonly #ids = new Map<number | string, number>();
  /** The messages of the handshake that came so far. */
  #messages = 0;
  #release: string | undefined;
  #protocol: Protocol | undefined;
  #opaque = false;

  /** @param told The protocol, if the handshake does not say it. */
  constructor(number: number, entries: RecordedFrame[], told: string | undefined) {
    this.#number = number;
    this.#entries = entries;
    if (told !== undefined && protocol(told).handshake !== "json") this.#protocol = protocol(told);
  }

  /** Takes bytes of a side. */
  push(side: Side, chunk: Uint8Array): void {
    if (this.#opaque) return this.#bytes(side, chunk);
    if (this.#protocol !== undefined) return this.#frames(side, chunk, this.#protocol);
    this.#held[side] = concat(this.#held[side], chunk.slice());
    try {
      this.#shake();
    } catch (error) {
      this.#broken(side, error);
    }
  }

  /** Takes the end of what a side sends. */
  end(side: Side): void {
    this.#add({ from: side, kind: "fin", text: "" });
  }

  /** Reads messages of the handshake: the server's, the client's, the server's. */
  #shake(): void {
    for (;;) {
      const side: Side = this.#messages % 2 === 0 ? "server" : "client";
      const held = this.#held[side];
      if (held.length < 3) return;
      if (held[2] !== 0x7b) return this.#giveUp();
      const size = held[0] * 256 + held[1];
      if (held.length < 2 + size) return;
      this.#held[side] = held.slice(2 + size);
      const json = JSON.parse(new TextDecoder().decode(held.subarray(2, 2 + size)));
      this.#add({ from: side, kind: "handshake", text: JSON.stringify(json, stable) });
      this.#messages++;
      if (side === "client" && typeof json.v === "string") this.#release = json.v;
      if (this.#messages < 3) continue;
      this.#protocol = protocol(json.native !== undefined ? "native" : this.#release ?? "2.0");
      for (const side of ["client", "server"] as const) {
        const rest = this.#held[side];
        if (rest.length > 0) this.#frames(side, rest, this.#protocol);
      }
      return;
    }
  }

  /** Records bytes as they are from now on: they are encrypted, or of another protocol. */
  #giveUp(): void {
    this.#opaque = true;
    for (const side of ["server", "client"] as const) {
      if (this.#held[side].length > 0) this.#bytes(side, this.#held[side]);
    }
  }

  #frames(side: Side, chunk: Uint8Array, spoken: Protocol): void {
    try {
      for (const frame of (this.#splitters[side] ??= new FrameSplitter(spoken)).push(chunk)) {
        this.#add({ from: side, kind: "frame", frame, id: this.#idOf(frame, spoken), text: ownText(frame) });
      }
    } catch (error) {
      this.#broken(side, error);
    }
  }

  /** Says once that nothing more can be decoded. The program that is recorded must not notice it. */
  #broken(side: Side, error: unknown): void {
    this.#opaque = true;
    this.#add({ from: side, kind: "bytes", text: `that cannot be decoded: ${(error as Error).message}` });
  }

  #idOf({ requestId }: DecodedFrame, spoken: Protocol): string {
    if (spoken.name === "native") return requestId === 0 ? "" : ` #${requestId}`;
    const number = this.#ids.get(requestId) ?? this.#ids.size + 1;
    this.#ids.set(requestId, number);
    return ` #${number}`;
  }

  #bytes(side: Side, bytes: Uint8Array): void {
    this.#add({ from: side, kind: "bytes", text: String(bytes.length) });
  }

  #add(entry: Omit<RecordedFrame, "connection">): void {
    this.#entries.push({ connection: this.#number, ...entry });
  }
}

function stable(name: string, value: unknown): unknown {
  return typeof value === "string" && Object.hasOwn(CHANGING, name) ? CHANGING[name] : value;
}

/** Returns the text of a frame of the library: its number, or the version that it announces. */
function ownText({ code, content }: DecodedFrame): string | undefined {
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  switch (code) {
    case SystemCode.CREDIT:
    case SystemCode.WINDOW:
      return content.length === 4 ? String(view.getUint32(0)) : undefined;
    case SystemCode.ACK:
      return content.length === 8 ? String(view.getBigUint64(0)) : undefined;
    case SystemCode.HELLO:
    case SystemCode.HELLO_ACK:
      return payloadText(content.subarray(2));
    default:
      return undefined;
  }
}
