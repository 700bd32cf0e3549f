/**
 * Hexadecimal digits as bytes, and bytes as a dump.
 *
 * @module
 */

/**
 * Returns the bytes that hexadecimal digits stand for. Spaces, line ends, colons and commas between the bytes, and `0x`
 * before them, are left out.
 *
 * @returns `undefined` if there is anything else, or half of a byte.
 */
export function unhex(text: string): Uint8Array | undefined {
  const digits = text.replaceAll(/0x|[\s:,]/g, "");
  if (digits.length % 2 !== 0 || !/^[\da-f]*$/i.test(digits)) return undefined;
  const bytes = new Uint8Array(digits.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

/**
 * Returns bytes as lines of offset, hexadecimal digits and ASCII.
 *
 * @param offset The number of the first byte.
 */
export function hexDump(bytes: Uint8Array, offset = 0): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    const digits = [...row].map((byte) => byte.toString(16).padStart(2, "0"));
    const left = digits.slice(0, 8).join(" ").padEnd(23);
    const right = digits.slice(8).join(" ").padEnd(23);
    const text = [...row].map((byte) => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".").join("");
    lines.push(`${(offset + at).toString(16).padStart(8, "0")}  ${left}  ${right}  ${text}`);
  }
  return lines;
}
