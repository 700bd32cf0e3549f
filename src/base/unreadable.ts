/**
 * The error of a payload that cannot be read.
 *
 * @module
 */

import { PayloadError } from "../errors.ts";

/**
 * Thrown where a payload from a peer cannot be decoded. For programs it is a {@linkcode PayloadError} like any other.
 * The log uses it to tell whose fault the error is.
 */
export class UnreadableError extends PayloadError {
  /** The name of the public class, which Node shows next to that of the error. */
  static override readonly name: string = "PayloadError";
}
