/**
 * What `veltix inspect` does with the connections that it passes on: shows what is in them, and writes captures and records.
 *
 * @module
 */

import { writeSync } from "node:fs";
import { type Address, addressText } from "../../base/address.ts";
import type { Output } from "../output.ts";
import { Conversation } from "./conversation.ts";
import { describe, type DescribeOptions, jsonOf } from "./describe.ts";
import type { Knowledge } from "./knowledge.ts";
import { Packets } from "./packets.ts";
import { captureHead, packetBlock } from "./pcapng.ts";
import type { Broken, Onlooker, ProxyEvents } from "./proxy.ts";
import { recordHead, type RecordLine, recordText } from "./recording.ts";
import type { Seen } from "./seen.ts";

/** What to show and to write. */
export interface WatchOptions {
  readonly knowledge: Knowledge;
  readonly show: (seen: Seen) => boolean;
  readonly describe: DescribeOptions;
  /** The address of the server, for the record. */
  readonly target: string;
  /** The descriptor of the file for the capture. */
  readonly pcap?: number | undefined;
  /** The descriptor of the file for the record. */
  readonly record?: number | undefined;
}

/** Watches the connections of a proxy. */
export class Watch implements ProxyEvents {
  readonly #output: Output;
  readonly #options: WatchOptions;
  readonly #started = performance.now();
  readonly #date = new Date();
  #count = { connections: 0, frames: 0, bytes: 0, damaged: 0 };

  constructor(output: Output, options: WatchOptions) {
    this.#output = output;
    this.#options = options;
    if (options.pcap !== undefined) write(options.pcap, captureHead("veltix inspect"));
    if (options.record !== undefined) write(options.record, encoder.encode(recordHead(this.#date, options.target)));
  }

  open(number: number, client: Address, server: Address): Onlooker {
    this.#count.connections++;
    const places = { client: addressText(client), server: addressText(server) };
    this.#event(number, { type: "open", ...places }, `${places.client} → ${places.server}`);
    this.#record({ time: this.#time, connection: number, type: "open", ...places });
    let fresh: string[] = [];
    const conversation = new Conversation(this.#options.knowledge, (seen) => {
      if (this.#options.record !== undefined) fresh.push(...describe(seen, PLAIN).slice(0, 1));
      this.#see(number, seen);
    });
    const packets = this.#packets(number, client, server);
    packets?.open();
    return {
      data: (from, bytes) => {
        this.#count.bytes += bytes.length;
        packets?.data(from, bytes);
        try {
          conversation.push(from, bytes);
        } finally {
          this.#record({ time: this.#time, connection: number, type: "data", from, bytes, seen: fresh });
          fresh = [];
        }
      },
      end: (from) => {
        packets?.end(from);
        conversation.end(from);
        this.#event(number, { type: "end", from }, `${from === "client" ? "→" : "←"} end`);
        this.#record({ time: this.#time, connection: number, type: "end", from });
      },
      close: (broken) => this.#close(number, broken, conversation, packets),
    };
  }

  unreachable(number: number, client: Address, error: Error): void {
    const text = `${addressText(client)} is let go: ${error.message}`;
    this.#event(number, { type: "unreachable", client: addressText(client), message: error.message }, text);
  }

  blind(number: number, error: Error): void {
    const text = `cannot be read any more, and goes on: ${error.message}`;
    this.#event(number, { type: "blind", message: error.message }, text);
  }

  /** Waits for a slow reader of the output: what is not printed yet is held in memory. */
  ready(): Promise<void> | undefined {
    return this.#output.terminal.drained?.();
  }

  /** Says what was seen in all. */
  summary(): void {
    const { bytes, connections, damaged, frames } = this.#count;
    const count = (number: number, thing: string): string => `${number} ${thing}${number === 1 ? "" : "s"}`;
    this.#output.note(
      `${count(connections, "connection")}, ${count(frames, "frame")}, ${count(bytes, "byte")}, ${damaged} damaged`,
    );
  }

  /** Milliseconds since the beginning. */
  get #time(): number {
    return performance.now() - this.#started;
  }

  #close(number: number, broken: Broken | undefined, conversation: Conversation, packets: Packets | undefined): void {
    for (const from of ["client", "server"] as const) conversation.end(from);
    if (broken !== undefined) packets?.reset(broken.from);
    const error = broken?.error.message;
    this.#event(number, { type: "close", error }, error === undefined ? "closed" : `broke: ${error}`);
    this.#record({ time: this.#time, connection: number, type: "close", error });
  }

  #see(number: number, seen: Seen): void {
    if (seen.type === "frame") this.#count.frames++;
    if (seen.type === "damage") this.#count.damaged++;
    if (!this.#options.show(seen)) return;
    this.#print(number, jsonOf(seen), () => describe(seen, this.#options.describe));
  }

  /** Prints something about a connection that is not within it. Filters do not hide it. */
  #event(number: number, value: Record<string, unknown>, text: string): void {
    const { style } = this.#options.describe;
    this.#print(number, value, () => [style("dim", text)]);
  }

  #print(number: number, value: Record<string, unknown>, lines: () => readonly string[]): void {
    const time = Math.round(this.#time * 1000) / 1000;
    const { style } = this.#options.describe;
    this.#output.result({ time, connection: number, ...value }, () => {
      const place = style("dim", `${(time / 1000).toFixed(3).padStart(8)} #${number}`);
      return lines().map((line, i) => i === 0 ? `${place} ${line}` : line).join("\n");
    });
  }

  #packets(number: number, client: Address, server: Address): Packets | undefined {
    const { pcap } = this.#options;
    if (pcap === undefined) return undefined;
    return new Packets(number, client, server, (packet) => {
      write(pcap, packetBlock(packet, Math.round(1000 * (this.#date.getTime() + this.#time))));
    });
  }

  #record(line: RecordLine): void {
    if (this.#options.record !== undefined) write(this.#options.record, encoder.encode(recordText(line)));
  }
}

const encoder = /* @__PURE__ */ new TextEncoder();
const PLAIN: DescribeOptions = { maxPayload: 80, hex: false, fields: false, style: (_style, text) => text };

/** Writes all bytes to a file. */
function write(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}
