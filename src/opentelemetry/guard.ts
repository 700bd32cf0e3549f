/**
 * Keeps errors of telemetry away from messages: of exporters, providers, and functions that the program gave for spans.
 *
 * @module
 */

import { diag } from "@opentelemetry/api";
import { show } from "../base/checks.ts";
import { isThenable } from "../base/thenable.ts";

/** Reports the first error of telemetry, and no other: they may come with each message. */
export class Guard {
  #told = false;

  /** Reports an error by `diag`. Never throws. */
  report(error: unknown): void {
    if (this.#told) return;
    this.#told = true;
    try {
      diag.error("@veltix/core: telemetry failed, messages are not affected; no other failure is reported", error);
    } catch {
      // The logger of the program failed, so nobody is left who could be told.
    }
  }

  /** Calls a function of telemetry. Returns `undefined` if it throws. */
  run<Value>(work: () => Value): Value | undefined {
    try {
      return work();
    } catch (error) {
      this.report(error);
      return undefined;
    }
  }

  /** Takes care of a value that is not used: if it is a promise, its rejection is no unhandled one. */
  ignore(value: unknown): void {
    if (isThenable(value)) Promise.resolve(value).catch((error) => this.report(error));
  }
}

/** Describes what a function of the program has returned, for an error. */
export function shown(value: unknown): string {
  return isThenable(value) ? "a promise" : show(value);
}
