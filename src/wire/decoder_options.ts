/**
 * What a decoder can be told, and what it tells of a frame that it drops.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import type { HeaderCheck } from "./frame.ts";

/** What a decoder does at a torn frame; see {@linkcode DecoderOptions.recovery}. */
export type Recovery = "close" | "resync";

/** Options of a {@linkcode FrameDecoder}; all optional. */
export interface DecoderOptions {
  /** The largest frame, header included, in bytes. @default 10485760 */
  readonly maxMessageSize?: number;
  /** Flags of negotiated features that frames may carry, or-ed. @default 0 */
  readonly features?: number;
  /** Called for each frame dropped because its checksum did not match (the Python protocols go on after one). */
  readonly onDrop?: (error: ProtocolError) => void;
  /**
   * What a torn frame does, in the protocols with a magic: `"close"` breaks the stream at the next header; `"resync"` searches
   * on from inside the frame for the next that is whole. That finds frames inside payloads, too: only for peers that are
   * trusted.
   * @default "close"
   */
  readonly recovery?: "close" | "resync";
  /** Called with `recovery: "resync"` for each gap between two frames or after the last, with how many bytes were skipped. */
  readonly onSkip?: (error: ProtocolError) => void;
}

/** What of a decoder's options concerns reading. */
export interface ReaderOptions extends Omit<DecoderOptions, "onDrop" | "onSkip"> {
  /** Checks frames for negotiated features. */
  readonly check?: HeaderCheck | undefined;
}

/** Told of what is left out of a stream. An object in place of two functions: there is one for each connection. */
export interface FrameLosses {
  /** A frame, because its checksum does not match. */
  drop?(error: ProtocolError): void;
  /** What lies between two frames, or after the last. */
  skip?(error: ProtocolError): void;
}

/** The error that names a frame which was left out. */
export function dropped(code: number, size: number): ProtocolError {
  return new ProtocolError("corrupt", `Dropped a frame of type ${code}, ${size} bytes: its checksum does not match`);
}
