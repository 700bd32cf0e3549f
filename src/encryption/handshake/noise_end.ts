/**
 * The part that both ends of the handshake share: how they fail.
 *
 * @module
 */

import { isNoiseError, type NoiseError, type NoiseStep } from "./terms.ts";

/** One end of the handshake. The first error ends it. */
export abstract class NoiseEnd {
  /** The error that ended the handshake. */
  protected error: NoiseError | undefined = undefined;

  /** Drops all keys, and ends the handshake. */
  abstract destroy(): void;

  /** Returns the step that `run` returns. An error that the peer caused becomes a failed step. */
  protected guard(run: () => NoiseStep): NoiseStep {
    try {
      return run();
    } catch (error) {
      if (!isNoiseError(error)) {
        this.destroy();
        throw error;
      }
      this.end(error);
      return this.failed();
    }
  }

  /** Ends the handshake with an error. */
  protected end(error: NoiseError): void {
    this.error = error;
    this.destroy();
  }

  /** Returns the failed step. Throws if the handshake has ended without an error. */
  protected failed(): NoiseStep {
    if (this.error === undefined) throw new Error("Cannot go on with the handshake: it is over");
    return { state: "failed", error: this.error };
  }
}
