/**
 * The failures to load the module of a worker route, and the pauses in starting threads that follow them.
 *
 * @module
 */

import { ConfigError, MessageTypeError } from "../errors.ts";
import type { AnyMessageType } from "../message/message_type.ts";
import { errorLike, type Report } from "./worker_messages.ts";

/**
 * The pause in starting threads after the first failure to load the module, in milliseconds. Each further failure
 * doubles it.
 */
const FIRST_PAUSE = 100;
/** The longest such pause, in milliseconds. */
const LONGEST_PAUSE = 30_000;

/** The failures to load one module. */
export class ModuleFaults {
  readonly #type: AnyMessageType;
  readonly #module: string;
  #last: { readonly error: Error; readonly pause: number; readonly until: number } | undefined = undefined;

  /**
   * @param type The message type of the route.
   * @param module The URL of the module.
   */
  constructor(type: AnyMessageType, module: string) {
    this.#type = type;
    this.#module = module;
  }

  /** Returns the failure because of which no thread is started now; `undefined` if one may be started. */
  pausing(now: number): Error | undefined {
    return this.#last !== undefined && now < this.#last.until ? this.#last.error : undefined;
  }

  /**
   * Notes a failure. Threads that are started together fail together, which counts as one failure.
   *
   * @returns True for the first of such a group.
   */
  note(error: Error, now: number): boolean {
    if (this.pausing(now) !== undefined) return false;
    const pause = Math.min(this.#last === undefined ? FIRST_PAUSE : 2 * this.#last.pause, LONGEST_PAUSE);
    this.#last = { error, pause, until: now + pause };
    return true;
  }

  /** Forgets all failures. */
  clear(): void {
    this.#last = undefined;
  }

  /** Returns the error for what a thread reports as it starts; `undefined` if it is ready. */
  of(report: Report): Error | undefined {
    const { code, name, reply } = this.#type;
    if (report.kind === "broken") return this.cannotLoad(report.error.message, errorLike(report.error));
    if (report.kind === "unusable") {
      return this.cannotLoad(`its default export is ${report.exported}, it must be what workerHandler() returns`);
    }
    if (report.kind !== "ready") return undefined;
    const what = `Cannot handle "${name}", code ${code}, by "${this.#module}"`;
    if (report.code !== code) {
      return new MessageTypeError("type-mismatch", `${what}: it handles "${report.name}", code ${report.code}`);
    }
    if (report.replies === (reply !== undefined)) return undefined;
    return new MessageTypeError("type-mismatch", `${what}: only one of the two types has a reply`);
  }

  /** Returns the error for a module that cannot be loaded. */
  cannotLoad(why: string, cause?: unknown): ConfigError {
    return new ConfigError("invalid-config", `Cannot use the worker "${this.#module}": ${why}`, { cause });
  }
}
