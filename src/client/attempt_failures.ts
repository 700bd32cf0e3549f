/**
 * The failures of one attempt to connect, which may have tried several servers.
 *
 * @module
 */

import { HandshakeError } from "../errors.ts";
import { worthRetrying } from "./reconnect.ts";

/** The failures of one attempt, one for each server that was tried. */
export class AttemptFailures {
  readonly #errors: unknown[] = [];

  /** Adds the failure at a server. */
  add(error: unknown): void {
    this.#errors.push(error);
  }

  /**
   * The failure that says most: the first with which a server has refused the client, or else the first that a server has
   * caused, or else the last one.
   */
  get error(): unknown {
    const errors = this.#errors;
    return errors.find((error) => error instanceof HandshakeError && error.refusal !== undefined) ??
      errors.find((error) => error instanceof HandshakeError) ?? errors.at(-1);
  }

  /** Returns whether another attempt can succeed at one of the servers. */
  worthRetrying(connectedBefore: boolean): boolean {
    return this.#errors.some((error) => worthRetrying(error, connectedBefore));
  }
}
