/**
 * The parts that both directions of the records share. A record is a u16 length, ciphertext, and its tag. A record
 * without plaintext ends its direction.
 *
 * @module
 */

import { TAG_SIZE } from "./primitives.ts";

/** The size of the length at the start of a record, in bytes. */
export const HEADER_SIZE = 2;
/** The most bytes of ciphertext and tag in a record. */
export const MAX_SEALED = 0xffff;
/** The most bytes of plaintext in a record. */
export const MAX_TEXT: number = MAX_SEALED - TAG_SIZE;

/** Options of both directions of the records. */
export interface RecordOptions {
  /** The number of records under one key. Both sides must use the same number. @default 65_536 */
  readonly rekeyEvery?: number;
}

/** The number of records under one key. */
export const REKEY_EVERY = 65_536;
