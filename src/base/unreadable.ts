/**
 * The error of a payload that cannot be read.
 *
 * @module
 */

import { PayloadError } from "../errors.ts";

/**
 * Thrown where what a peer sent cannot be decoded. For programs it is a {@linkcode PayloadError} like any other; the log tells
 * by it whose fault it is.
 */
export class UnreadableError extends PayloadError {
  /** The name of the public class, which Node shows beside that of the error. */
  static override readonly name: string = "PayloadError";
}
