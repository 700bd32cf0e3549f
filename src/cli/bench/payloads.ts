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

/** What came, and what was wrong with it. */
export interface Count {
  /** Messages that came. */
  readonly received: number;
  /** Messages that were left out when a later one came; those behind the last one show in `received`. */
  readonly gaps: number;
  /** Messages that came once more. */
  readonly twice: number;
  /** Messages that came behind a later one. */
  readonly inversions: number;
  /** Messages of a wrong size. */
  readonly damaged: number;
}

/** Counts what arrives and compares it with the sequence that was sent. */
export class SerialCheck implements Count {
  readonly #expected: Uint16Array;
  readonly #length: number;
  readonly #size: number;
  received = 0;
  gaps = 0;
  twice = 0;
  inversions = 0;
  damaged = 0;

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
    this.received++;
    const serial = (content[0] << 8) | content[1];
    const sender = (content[2] << 8) | content[3];
    if (content.length !== this.#size) this.damaged++;
    if (serial === this.#expected[sender] || this.#isLater(serial, sender)) {
      this.#expected[sender] = serial + 1 === this.#length ? 0 : serial + 1;
    }
  }

  /** The senders begin their rings anew. */
  restart(): void {
    this.#expected.fill(0);
  }

  /** What was counted, without the means to count on. */
  count(): Count {
    const { received, gaps, twice, inversions, damaged } = this;
    return { received, gaps, twice, inversions, damaged };
  }

  /** Half a ring ahead is later, half a ring behind is earlier, and the one just before is a repetition. */
  #isLater(serial: number, sender: number): boolean {
    const ahead = (serial - this.#expected[sender] + this.#length) % this.#length;
    const later = ahead < this.#length / 2;
    if (later) this.gaps += ahead;
    else if (ahead === this.#length - 1) this.twice++;
    else this.inversions++;
    return later;
  }
}

/** Throws unless exactly `sent` messages came, each once, in order and whole. */
export function confirmCount(sent: number, { received, gaps, twice, inversions, damaged }: Count): void {
  if (received === sent && gaps + twice + inversions + damaged === 0) return;
  const lost = Math.max(0, sent - (received - twice));
  throw new Error(
    `Lost or reordered messages: of ${sent}, ${lost} were lost, ${twice} came twice, ${inversions} behind a later one, ` +
      `${damaged} damaged`,
  );
}
