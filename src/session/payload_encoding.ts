/**
 * Defines how features transform payloads before they are sent, and passes a payload through all of them.
 *
 * @module
 */

/** A transformed payload, with the flags that describe the transformation. */
export interface EncodedPayload {
  readonly flags: number;
  readonly content: Uint8Array;
  /**
   * The size that the peer counts the payload with, in bytes, if it is larger than that of `content`.
   * @default the size of `content`
   */
  readonly size?: number | undefined;
}

/** What a payload belongs to: its message type, or a stream of which it is a piece. */
export interface PayloadOrigin {
  /** False if the payload must not be compressed. @default true */
  readonly compress?: boolean | undefined;
}

/** Transforms payloads before they are sent. */
export interface PayloadEncoder {
  /**
   * Transforms the payload of a message, request, reply or piece of a stream. Returns `undefined` to leave it as it is.
   *
   * @param origin What the payload belongs to, if that is known. For all pieces of a stream it is the same object, one for
   * each direction, so that an encoder can remember what it has learned of the stream.
   */
  encode(
    code: number,
    flags: number,
    content: Uint8Array | string,
    origin?: PayloadOrigin,
  ): EncodedPayload | undefined;
  /**
   * A name that is the same for two encoders if they transform messages alike. A broadcast is then encoded once for all of
   * them.
   * @default a broadcast is encoded for each peer
   */
  readonly sharing?: string | undefined;
}

/** The encoders of one connection, in the order in which payloads pass through them. */
export class PayloadEncoders {
  /** See `Sender.sharing`. */
  readonly sharing: string | undefined;
  readonly #encoders: readonly PayloadEncoder[];

  constructor(encoders: readonly PayloadEncoder[]) {
    this.#encoders = encoders;
    const names = encoders.map(({ sharing }) => sharing);
    this.sharing = names.includes(undefined) ? undefined : names.join();
  }

  /** Transforms a payload. Returns `undefined` if all leave it as it is. */
  encode(
    code: number,
    flags: number,
    content: Uint8Array | string,
    origin: PayloadOrigin | undefined,
  ): EncodedPayload | undefined {
    let result: EncodedPayload | undefined;
    for (const encoder of this.#encoders) {
      const before = result?.flags ?? 0;
      const encoded = encoder.encode(code, flags | before, result?.content ?? content, origin);
      if (encoded !== undefined) {
        result = { flags: before | encoded.flags, content: encoded.content, size: encoded.size ?? result?.size };
      }
    }
    return result;
  }
}
