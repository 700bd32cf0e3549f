/**
 * IP addresses and networks as bytes. An IPv4 address in the notation of IPv6 (`::ffff:192.0.2.1`) counts as
 * the IPv4 address that it is.
 *
 * @module
 */

/** The first twelve bytes of an IPv4 address in the notation of IPv6. */
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/**
 * Reads an IP address. Returns 4 bytes for IPv4 and 16 for IPv6; `undefined` if the text is no address. Numbers with a
 * leading zero, short forms such as `127.1`, and zones such as `%eth0` belong to no address.
 */
export function parseIp(text: string): Uint8Array | undefined {
  if (!text.includes(":")) return parseIpv4(text);
  const bytes = parseIpv6(text);
  return bytes === undefined ? undefined : withoutMapping(bytes);
}

/** Reads an IPv4 address: four numbers. Returns its 4 bytes; `undefined` if the text is no such address. */
export function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  const isByte = (part: string): boolean => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255;
  return parts.length === 4 && parts.every(isByte) ? Uint8Array.from(parts, Number) : undefined;
}

/**
 * Reads an IPv6 address, whose last 32 bits may be written as an IPv4 address. Returns its 16 bytes; `undefined` if the
 * text is no such address.
 */
export function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const parts = halves.map((half, i) => groupsOf(half, i === halves.length - 1));
  const [head, tail = []] = parts;
  if (head === undefined || parts.includes(undefined)) return undefined;
  const missing = 8 - head.length - tail.length;
  // A double colon stands for at least one group.
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** Returns the groups of 16 bits in a part of an IPv6 address; `undefined` if it is none. */
function groupsOf(part: string, last: boolean): number[] | undefined {
  if (part === "") return [];
  const words = part.split(":");
  const end: number[] = [];
  if (last && words.at(-1)!.includes(".")) {
    const dotted = parseIpv4(words.pop()!);
    if (dotted === undefined) return undefined;
    end.push(dotted[0] << 8 | dotted[1], dotted[2] << 8 | dotted[3]);
  }
  if (!words.every((word) => /^[\da-f]{1,4}$/i.test(word))) return undefined;
  return [...words.map((word) => parseInt(word, 16)), ...end];
}

function withoutMapping(bytes: Uint8Array): Uint8Array {
  return MAPPED.every((byte, i) => bytes[i] === byte) ? bytes.slice(12) : bytes;
}

/** Returns the text of an address of 4 or 16 bytes, in its shortest form. */
export function ipText(bytes: Uint8Array): string {
  const plain = bytes.length === 4 ? bytes : withoutMapping(bytes);
  if (plain.length === 4) return plain.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => (plain[2 * i] << 8 | plain[2 * i + 1]).toString(16));
  // The host of a URL is written in the shortest form.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** One network. */
export interface IpNetwork {
  /** The bytes of its address. */
  readonly bytes: Uint8Array;
  /** How many of the first bits of an address must be the same. */
  readonly bits: number;
}

/** Reads an address, such as `192.0.2.1`, or a network, such as `10.0.0.0/8`. Returns `undefined` if it is neither. */
export function parseIpNetwork(text: string): IpNetwork | undefined {
  const [ip, length, ...more] = text.split("/");
  const bytes = more.length === 0 ? parseIp(ip) : undefined;
  if (bytes === undefined) return undefined;
  if (length === undefined) return { bytes, bits: 8 * bytes.length };
  if (!/^\d{1,3}$/.test(length)) return undefined;
  // The length of an IPv4 network in the notation of IPv6 counts the mapping, too.
  const bits = Number(length) - (ip.includes(":") && bytes.length === 4 ? 96 : 0);
  return bits >= 0 && bits <= 8 * bytes.length ? { bytes, bits } : undefined;
}

/** Returns whether the bytes of an address belong to a network. */
export function inNetwork(network: IpNetwork, address: Uint8Array): boolean {
  if (network.bytes.length !== address.length) return false;
  for (let i = 0; 8 * i < network.bits; i++) {
    const ignored = Math.max(0, 8 * i + 8 - network.bits);
    if ((network.bytes[i] ^ address[i]) >> ignored !== 0) return false;
  }
  return true;
}
