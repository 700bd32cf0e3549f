/**
 * What the sender and the receiver of a folder say to each other.
 *
 * @module
 */

import { json, messageTypes, text } from "@veltix/core";

/** What a sender says of a file before its bytes. */
export interface FileHead {
  /** The path below the folder, with slashes. */
  readonly path: string;
  /** The SHA-256 of the whole file, in hexadecimal. It tells whether bytes of an earlier attempt are of this file. */
  readonly sha256: string;
}

/**
 * `file` takes the bytes of a file up. The only item that comes down is the number of bytes that the receiver has already;
 * the sender goes on from there. The result is the SHA-256 of what the receiver has at the end.
 */
export const { file } = messageTypes({
  file: { stream: { head: json<FileHead>(), down: json<number>(), result: text } },
});
