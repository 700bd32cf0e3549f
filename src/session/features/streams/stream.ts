/**
 * One stream: its two directions, and how they end together.
 *
 * @module
 */

import { encodeUtf8 } from "../../../base/utf8.ts";
import { Flag, SystemCode } from "../../../wire/frame.ts";
import { put32 } from "../../../wire/integers.ts";
import { errorContent } from "../../error_reply.ts";
import type { PayloadOrigin } from "../../payload_encoding.ts";
import { Receiving, type ReceivingShared, type ReceivingStream } from "./receiving.ts";
import { Sending, type SendingShared, type SendingStream } from "./sending.ts";

/** The streams of a session. */
export interface StreamsShared extends ReceivingShared, SendingShared {
  /** Sends a piece. */
  piece(stream: Stream, flags: number, content: Uint8Array): void;
  /** Sends a control frame of a stream. */
  send(stream: Stream, code: number, flags: number, content: Uint8Array | string): void;
  /** Called when a stream is over. The peer may send `pieces` more before it knows. */
  streamOver(stream: Stream, pieces: number): void;
}

/** A stream of either side. */
export abstract class Stream implements PayloadOrigin, ReceivingStream, SendingStream {
  readonly requestId: number;
  readonly name: string;
  readonly code: number;
  readonly reader: Receiving;
  readonly writer: Sending;
  over = false;
  compress = true;
  protected readonly shared: StreamsShared;

  /** @param reserved What is taken from the budget for the window of the peer. */
  constructor(shared: StreamsShared, requestId: number, name: string, code: number, reserved: number) {
    this.shared = shared;
    this.requestId = requestId;
    this.name = name;
    this.code = code;
    this.reader = new Receiving(this, shared, shared.ours.window, reserved);
    this.writer = new Sending(this, shared);
  }

  /** REPLY where the peer has opened the stream. */
  abstract get reply(): number;
  /** False while the opening still waits for credit: nothing may be sent before it. */
  abstract get released(): boolean;
  abstract abort(reason: unknown): void;

  grant(bytes: number): void {
    if (this.over) return;
    const content = new Uint8Array(4);
    put32(content, 0, bytes);
    this.shared.send(this, SystemCode.WINDOW, this.reply, content);
  }

  sendStop(reason: unknown): void {
    if (!this.over) this.shared.send(this, SystemCode.STOP, this.reply, reasonContent(reason, this.shared.maxPiece));
  }

  sendPiece(content: Uint8Array, end: boolean): void {
    this.shared.piece(this, Flag.STREAM | this.reply | (end ? Flag.END : 0), content);
  }

  /** Ends both directions. `error` is why; `undefined` if the stream was answered. */
  finish(error: unknown): void {
    if (this.over) return;
    this.over = true;
    const { reader, writer } = this;
    const pieces = reader.left;
    const cut = error === undefined ? new DOMException("The stream is over: it was answered", "AbortError") : error;
    // The answer ends what its receiver reads. The sender of the answer has decided to read no more.
    if (error === undefined && this.reply === 0) reader.finish();
    else reader.fail(cut);
    writer.fail(cut);
    this.shared.streamOver(this, pieces);
  }
}

/** Returns the error that tells the peer a reason; `undefined` if there is none to tell. */
export function reasonError(reason: unknown): { readonly code: string; readonly message: string } | undefined {
  if (reason === undefined) return undefined;
  if (typeof reason === "string") return { code: "aborted", message: reason };
  try {
    const { code, message } = reason as { readonly code?: unknown; readonly message?: unknown };
    return {
      code: typeof code === "string" ? code : "aborted",
      message: typeof message === "string" ? message : "No reason was given",
    };
  } catch {
    // Anything can be thrown, even null or a value whose properties cannot be read.
    return undefined;
  }
}

/** Returns the content of a CANCEL or a STOP, of at most `most` bytes. */
export function reasonContent(reason: unknown, most: number): string {
  const error = reasonError(reason);
  if (error === undefined) return "";
  const { code, message } = error;
  const content = errorContent(error);
  const spare = encodeUtf8(content).length - most;
  if (spare <= 0) return content;
  const rest = most - encodeUtf8(errorContent({ code, message: "" })).length;
  return rest < 0 ? "" : errorContent({ code, message: message.slice(0, Math.floor(rest / MAX_CHARACTER)) });
}

/** The most bytes of a UTF-16 unit in JSON: `\u0000`. */
const MAX_CHARACTER = 6;
