/**
 * One connection as the packets that TCP would have made of it: Ethernet, IPv4 or IPv6, and TCP with right sequence
 * numbers and checksums, from SYN to FIN or RST.
 *
 * @module
 */

import { concat } from "../../base/concat.ts";
import { type Address, ipOf } from "../../base/address.ts";
import { put16, put32 } from "../../wire/integers.ts";
import type { Sender } from "./seen.ts";
import { peerOf } from "./seen.ts";

/** The most bytes in one packet: the largest IP packet takes 65,535, headers included. */
const LARGEST = 60_000;

/** The port of a server without one. No dissector of Wireshark takes it for its own. */
const UNNAMED_PORT = 17_777;

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const PSH = 0x08;
const ACK = 0x10;

/** One end: its IP address, as 4 or 16 bytes, and its port. */
interface End {
  readonly ip: Uint8Array;
  readonly port: number;
  readonly mac: number;
  /** The sequence number of the next byte. */
  next: number;
  /** True once it has sent FIN or RST. */
  ended: boolean;
}

/** Makes the packets of one connection. */
export class Packets {
  readonly #ends: Readonly<Record<Sender, End>>;
  readonly #write: (packet: Uint8Array) => void;
  #number = 1;

  /**
   * @param number The number of the connection, which unnamed ends get their ports by.
   * @param write Called with each packet.
   */
  constructor(number: number, client: Address, server: Address, write: (packet: Uint8Array) => void) {
    this.#write = write;
    const ips = [bytesOfIp(ipOf(client)), bytesOfIp(ipOf(server))];
    // A unix socket has no address. Those of TEST-NET-1 (RFC 5737) belong to nobody.
    const fallback = ["192.0.2.1", "192.0.2.2"].map((ip) => bytesOfIp(ip)!);
    const known = ips[0] !== undefined && ips[1] !== undefined ? ips as Uint8Array[] : fallback;
    const wide = known.some((ip) => ip.length === 16);
    const [from, to] = known.map((ip) => wide ? widen(ip) : ip);
    const port = (address: Address, other: number): number =>
      "port" in address && address.port > 0 ? address.port : other;
    this.#ends = {
      client: { ip: from, port: port(client, 40_000 + number % 20_000), mac: 1, next: 1_000, ended: false },
      server: { ip: to, port: port(server, UNNAMED_PORT), mac: 2, next: 2_000_000, ended: false },
    };
  }

  /** The handshake of TCP. */
  open(): void {
    this.#packet("client", SYN, SYN_OPTIONS);
    this.#ends.client.next++;
    this.#packet("server", SYN | ACK, SYN_OPTIONS);
    this.#ends.server.next++;
    this.#packet("client", ACK);
  }

  /** Bytes, which the other end acknowledges. */
  data(from: Sender, bytes: Uint8Array): void {
    const end = this.#ends[from];
    for (let at = 0; at < bytes.length; at += LARGEST) {
      const part = bytes.subarray(at, at + LARGEST);
      this.#packet(from, PSH | ACK, undefined, part);
      end.next = (end.next + part.length) >>> 0;
      this.#packet(peerOf(from), ACK);
    }
  }

  /** The end of one direction. */
  end(from: Sender): void {
    const end = this.#ends[from];
    if (end.ended) return;
    end.ended = true;
    this.#packet(from, FIN | ACK);
    end.next = (end.next + 1) >>> 0;
    this.#packet(peerOf(from), ACK);
  }

  /** The end of a connection that broke. */
  reset(from: Sender): void {
    if (this.#ends.client.ended && this.#ends.server.ended) return;
    this.#ends.client.ended = this.#ends.server.ended = true;
    this.#packet(from, RST | ACK);
  }

  #packet(from: Sender, flags: number, options?: Uint8Array, payload: Uint8Array = EMPTY): void {
    const [source, target] = [this.#ends[from], this.#ends[peerOf(from)]];
    const header = 20 + (options?.length ?? 0);
    const tcp = new Uint8Array(header + payload.length);
    put16(tcp, 0, source.port);
    put16(tcp, 2, target.port);
    put32(tcp, 4, source.next);
    put32(tcp, 8, (flags & ACK) !== 0 ? target.next : 0);
    tcp[12] = header / 4 << 4;
    tcp[13] = flags;
    put16(tcp, 14, 65_535);
    tcp.set(options ?? EMPTY, 20);
    tcp.set(payload, header);
    const six = source.ip.length === 16;
    put16(tcp, 16, checksum(concat(pseudoHeader(source.ip, target.ip, tcp.length), tcp)));
    const ip = six ? ipv6(source.ip, target.ip, tcp.length) : ipv4(source.ip, target.ip, tcp.length, this.#number++);
    this.#write(concat(ethernet(source.mac, target.mac, six), ip, tcp));
  }
}

const EMPTY = new Uint8Array(0);
/** A segment may have 60,000 bytes, and the window is scaled by 2 to the power of 14. */
const SYN_OPTIONS = /* @__PURE__ */ Uint8Array.of(2, 4, LARGEST >> 8, LARGEST & 255, 1, 3, 3, 14);

/** Locally administered addresses. */
function ethernet(from: number, to: number, six: boolean): Uint8Array {
  return Uint8Array.of(2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, ...six ? [0x86, 0xdd] : [0x08, 0x00]);
}

function ipv4(from: Uint8Array, to: Uint8Array, size: number, id: number): Uint8Array {
  const header = new Uint8Array(20);
  header[0] = 0x45;
  put16(header, 2, 20 + size);
  put16(header, 4, id & 0xffff);
  header[6] = 0x40;
  header[8] = 64;
  header[9] = 6;
  header.set(from, 12);
  header.set(to, 16);
  put16(header, 10, checksum(header));
  return header;
}

function ipv6(from: Uint8Array, to: Uint8Array, size: number): Uint8Array {
  const header = new Uint8Array(40);
  header[0] = 0x60;
  put16(header, 4, size);
  header[6] = 6;
  header[7] = 64;
  header.set(from, 8);
  header.set(to, 24);
  return header;
}

function pseudoHeader(from: Uint8Array, to: Uint8Array, size: number): Uint8Array {
  const rest = from.length === 16 ? [0, 0, size >> 8, size & 255, 0, 0, 0, 6] : [0, 6, size >> 8, size & 255];
  return concat(from, to, Uint8Array.from(rest));
}

/** The checksum of the Internet (RFC 1071). */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) sum += bytes[i] << 8 | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** Returns an IP address as 4 or 16 bytes; `undefined` if it is none. */
export function bytesOfIp(text: string): Uint8Array | undefined {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (four !== null) return Uint8Array.from(four.slice(1), Number);
  if (!text.includes(":")) return undefined;
  const [head, tail] = text.replace(/%.*$/, "").split("::").map((part) => part === "" ? [] : part.split(":"));
  const zeros = tail === undefined ? 0 : 8 - head.length - tail.length;
  const groups = [...head, ...Array(Math.max(0, zeros)).fill("0"), ...tail ?? []].map((group) => parseInt(group, 16));
  if (groups.length !== 8 || groups.some(Number.isNaN)) return undefined;
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
}

/** Returns an IPv4 address as an IPv6 one. */
function widen(ip: Uint8Array): Uint8Array {
  return ip.length === 16 ? ip : Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...ip);
}
