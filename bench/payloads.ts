/**
 * Payloads with serial numbers, and the check of what arrives. A sender goes round a ring of prepared payloads, because a
 * payload must not change once it is sent; each carries its place in the ring and its sender's number, so that the receiver
 * sees every loss, repetition and change of order, and the total proves the number of rounds.
 *
 * @module
 */

/** Bytes that the serial and sender numbers take, u16 each. */
const STAMP = 4;

/** An endless sequence of payloads of one sender. */
export class Payloads {
  readonly #ring: Uint8Array[] = [];
  #at = 0;

  /**
   * @param size Bytes of a payload.
   * @param sender The sender's number.
   * @param length How many different ones there are; the receiver needs the same number.
   */
  constructor(size: number, sender: number, length: number) {
    const bytes = new Uint8Array(size * length);
    for (let i = 0; i < length; i++) {
      const payload = bytes.subarray(i * size, (i + 1) * size);
      for (let k = STAMP; k < size; k++) payload[k] = k + i;
      payload.set([i >>> 8, i & 255, sender >>> 8, sender & 255]);
      this.#ring.push(payload);
    }
  }

  /** The next payload. */
  next(): Uint8Array {
    const payload = this.#ring[this.#at++];
    if (this.#at === this.#ring.length) this.#at = 0;
    return payload;
  }
}

/** Counts what arrives and compares it with the sequence that was sent. */
export class SerialCheck {
  readonly #expected: Uint16Array;
  readonly #length: number;
  readonly #size: number;
  /** Messages that came. */
  received = 0;
  /** Messages that were not the next one of their sender. */
  errors = 0;

  /**
   * @param senders How many senders there are.
   * @param length The length of their rings.
   * @param size Bytes of a payload.
   */
  constructor(senders: number, length: number, size: number) {
    this.#expected = new Uint16Array(senders);
    this.#length = length;
    this.#size = size;
  }

  /** Takes the next message. */
  take(content: Uint8Array): void {
    const serial = (content[0] << 8) | content[1];
    const sender = (content[2] << 8) | content[3];
    if (serial !== this.#expected[sender] || content.length !== this.#size) this.errors++;
    this.#expected[sender] = serial + 1 === this.#length ? 0 : serial + 1;
    this.received++;
  }

  /** Throws unless exactly `total` messages came, all in order. */
  confirm(total: number): void {
    if (this.received === total && this.errors === 0) return;
    throw new Error(`Lost or reordered messages: ${this.received} of ${total} came, ${this.errors} out of order`);
  }
}
