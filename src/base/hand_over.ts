/**
 * Takes over the memory of payloads that their senders give away.
 *
 * @module
 */

/**
 * Returns an encoded payload whose memory may be taken.
 *
 * @param what Begins the message of the error.
 * @throws {TypeError} It is text, or it shares its memory with something else.
 */
export function givenAway(what: string, content: Uint8Array | string): Uint8Array<ArrayBuffer> {
  if (typeof content === "string") {
    throw new TypeError(
      `${what} with transfer: its payload is text, which has no memory to give away; leave transfer out`,
    );
  }
  const { buffer } = content;
  if (!(buffer instanceof ArrayBuffer)) {
    throw new TypeError(`${what} with transfer: its payload is memory that threads share; leave transfer out`);
  }
  if (content.byteLength !== buffer.byteLength) {
    throw new TypeError(
      `${what} with transfer: its payload is ${content.byteLength} bytes of an ArrayBuffer of ${buffer.byteLength}, ` +
        "and only a whole one can be given away; pass a copy, or leave transfer out",
    );
  }
  return content as Uint8Array<ArrayBuffer>;
}

/**
 * Takes the memory of a payload, without copying it. Its former owner has an empty array from then on. Returns `undefined`
 * if the runtime does not give it away, such as the memory of WebAssembly.
 */
export function takeOver({ buffer }: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | undefined {
  try {
    // Not one that can be resized: WebSockets refuse views of such buffers.
    return new Uint8Array(buffer.transferToFixedLength());
  } catch {
    return undefined;
  }
}

/** Frees the memory of a payload that was copied, in place of leaving that to the garbage collector. */
export function free({ buffer }: Uint8Array<ArrayBuffer>): void {
  try {
    buffer.transfer(0);
  } catch {
    // It stays where it is, as in `takeOver`.
  }
}
