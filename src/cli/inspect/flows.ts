/**
 * Puts the bytes of TCP connections together from the packets of a capture. Packets may come twice or out of order.
 *
 * @module
 */

import { get16, get32 } from "../../wire/integers.ts";
import type { CapturedPacket } from "./pcapng.ts";
import type { Sender } from "./seen.ts";

/** Something that happened on a connection of a capture. */
export interface FlowEvent {
  /** Microseconds since 1970. */
  readonly time: number;
  /** The number of the connection, from 1. */
  readonly connection: number;
  readonly from: Sender;
  /** Bytes in their order; `undefined` at the end of a direction. */
  readonly bytes: Uint8Array | undefined;
  /** How many bytes before these are not in the capture. */
  readonly missing: number;
}

/** How much may wait for a packet that is missing, in packets. */
const PATIENCE = 1_000;

interface Half {
  readonly from: Sender;
  readonly connection: number;
  /** The sequence number that comes next; `undefined` until the first packet. */
  next: number | undefined;
  waiting: { at: number; bytes: Uint8Array; time: number }[];
  ended: boolean;
}

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;

/** Returns what happened on the TCP connections of a capture, in the order of the packets. */
export function* flowsOf(packets: Iterable<CapturedPacket>): Generator<FlowEvent> {
  const halves = new Map<string, Half>();
  let connections = 0;
  for (const { bytes, link, time } of packets) {
    const segment = segmentOf(bytes, link);
    if (segment === undefined) continue;
    const { flags, payload, sequence, source, target } = segment;
    const [key, back] = [`${source} ${target}`, `${target} ${source}`];
    const opens = (flags & (SYN | ACK)) === SYN;
    if (!halves.has(key) || opens) {
      const connection = ++connections;
      // Without a SYN nothing says who is the client. The one with the smaller port is more likely the server.
      const client = (flags & SYN) === 0 ? portOf(source) > portOf(target) : opens;
      halves.set(key, half(client ? "client" : "server", connection));
      halves.set(back, half(client ? "server" : "client", connection));
    }
    const one = halves.get(key)!;
    if ((flags & SYN) !== 0) {
      one.next = (sequence + 1) >>> 0;
      continue;
    }
    one.next ??= sequence;
    if (payload.length > 0) {
      one.waiting.push({ at: sequence, bytes: payload, time });
      yield* ready(one, one.waiting.length > PATIENCE);
    }
    if ((flags & (FIN | RST)) !== 0 && !one.ended) {
      one.ended = true;
      yield* ready(one, true);
      yield { time, connection: one.connection, from: one.from, bytes: undefined, missing: 0 };
    }
  }
  for (const left of halves.values()) yield* ready(left, true);
}

function half(from: Sender, connection: number): Half {
  return { from, connection, next: undefined, waiting: [], ended: false };
}

/** Hands out what is in order, and with `all` what comes after a hole, too. */
function* ready(half: Half, all: boolean): Generator<FlowEvent> {
  const { connection, from } = half;
  for (;;) {
    if (half.waiting.length === 0) return;
    const distances = half.waiting.map(({ at }) => (at - half.next!) | 0);
    const first = distances.indexOf(Math.min(...distances));
    const distance = distances[first];
    if (distance > 0 && !all) return;
    const [{ bytes, time }] = half.waiting.splice(first, 1);
    // What came before is not taken again.
    const fresh = distance < 0 ? bytes.subarray(-distance) : bytes;
    if (fresh.length === 0) continue;
    half.next = (half.next! + Math.max(0, distance) + fresh.length) >>> 0;
    yield { time, connection, from, bytes: fresh, missing: Math.max(0, distance) };
  }
}

interface Segment {
  readonly source: string;
  readonly target: string;
  readonly sequence: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** The kinds of first headers, and where the number of the protocol within them is. */
const LINKS: Readonly<Record<number, readonly [size: number, type: number]>> = {
  // Ethernet; raw IP; Linux's cooked captures, both versions; BSD loopback.
  1: [14, 12],
  101: [0, -1],
  113: [16, 14],
  276: [20, 0],
  0: [4, -1],
};

/** Returns the TCP segment of a packet; `undefined` if it has none. */
function segmentOf(bytes: Uint8Array, link: number): Segment | undefined {
  const [size, type] = LINKS[link] ?? [-1, -1];
  if (size < 0 || bytes.length < size + 20) return undefined;
  const carried = type < 0 ? undefined : get16(bytes, type);
  if (carried !== undefined && carried !== 0x0800 && carried !== 0x86dd) return undefined;
  const ip = bytes.subarray(size);
  const six = ip[0] >> 4 === 6;
  if (!six && ip[0] >> 4 !== 4) return undefined;
  if (ip[six ? 6 : 9] !== 6) return undefined;
  const header = six ? 40 : (ip[0] & 15) * 4;
  const end = six ? 40 + get16(ip, 4) : get16(ip, 2);
  const tcp = ip.subarray(header, end === 0 ? undefined : end);
  if (tcp.length < 20) return undefined;
  const [from, to] = six ? [ip.subarray(8, 24), ip.subarray(24, 40)] : [ip.subarray(12, 16), ip.subarray(16, 20)];
  return {
    source: `${from}:${get16(tcp, 0)}`,
    target: `${to}:${get16(tcp, 2)}`,
    sequence: get32(tcp, 4),
    flags: tcp[13],
    payload: tcp.subarray((tcp[12] >> 4) * 4),
  };
}

function portOf(end: string): number {
  return Number(end.slice(end.lastIndexOf(":") + 1));
}
