/**
 * The options of a decoder, and how it reports what it leaves out.
 *
 * @module
 */

import { ConfigError, ProtocolError } from "../errors.ts";
import type { HeaderCheck } from "./frame.ts";

/** What a decoder does at a torn frame; see {@linkcode DecoderOptions.recovery}. */
export type Recovery = "close" | "resync";

/**
 * Options of a {@linkcode FrameDecoder}; all optional.
 *
 * @category Wire protocol
 */
export interface DecoderOptions {
  /** The largest frame, header included, in bytes. @default 10485760 */
  readonly maxMessageSize?: number;
  /** The flags of negotiated features that frames may carry, combined with bitwise OR. @default 0 */
  readonly features?: number;
  /**
   * Called for each frame that is dropped because its checksum does not match. Only the Python protocols go on after
   * such a frame; it breaks a native stream.
   */
  readonly onDrop?: (error: ProtocolError) => void;
  /**
   * What a torn frame does, in the protocols with a magic. `"close"` breaks the stream at the next header. `"resync"`
   * searches for the next complete frame, beginning inside the torn one. That search also finds frames inside payloads:
   * use it only with peers that are trusted.
   * @default "close"
   */
  readonly recovery?: "close" | "resync";
  /**
   * Called with `recovery: "resync"` for each gap between two frames or after the last one. The error says how many
   * bytes were skipped.
   */
  readonly onSkip?: (error: ProtocolError) => void;
}

/** The options of a decoder that concern reading. */
export type ReaderOptions = Pick<DecoderOptions, "maxMessageSize" | "recovery">;

/** The flags of negotiated features, and a check of their frames. */
export interface NegotiatedFlags {
  /** The flags that frames may carry beside those of the protocol, combined with bitwise OR. */
  readonly flags: number;
  readonly check: HeaderCheck | undefined;
}

/** The flags of a stream without features. */
export const NO_FLAGS: NegotiatedFlags = { flags: 0, check: undefined };

/**
 * Receives what is left out of a stream. It is one object instead of two functions, because every connection has one.
 */
export interface FrameLosses {
  /** Called for a frame whose checksum does not match. */
  drop?(error: ProtocolError): void;
  /** Called for a gap between two frames, or after the last one. */
  skip?(error: ProtocolError): void;
}

/** Returns the error that describes a dropped frame. */
export function dropped(code: number, size: number): ProtocolError {
  return new ProtocolError("corrupt", `Dropped a frame of type ${code}, ${size} bytes: its checksum does not match`);
}

/** Returns the error for `what`, an option that leaves no magic to search for. */
export function noResync(what: string): ConfigError {
  return new ConfigError(
    "invalid-config",
    `${what} goes without recovery: "resync": only the Python releases from 1.7 on begin their frames with a magic`,
  );
}
