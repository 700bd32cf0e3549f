/**
 * Reads and writes unsigned big-endian integers in byte arrays, as all headers have them.
 *
 * @module
 */

/**
 * Returns a view of `bytes`. Creating one pays off for reading or writing many integers, or sixteen bytes at a time.
 */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Returns `size` bytes of a view, from `at` on, without copying them. */
export function bytesOf(view: DataView, at: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, size);
}

/** Reads 16 bits. */
export function get16(buffer: Uint8Array, at: number): number {
  return buffer[at] << 8 | buffer[at + 1];
}

/** Reads 32 bits. */
export function get32(buffer: Uint8Array, at: number): number {
  return (buffer[at] << 24 | buffer[at + 1] << 16 | buffer[at + 2] << 8 | buffer[at + 3]) >>> 0;
}

/** Writes 16 bits. */
export function put16(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 8;
  target[at + 1] = value;
}

/** Writes 32 bits. */
export function put32(target: Uint8Array, at: number, value: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}
