/**
 * The log lines that peers can cause, of one Server or Client. At most ten lines per second of each kind are written,
 * and then one that says how many more there were. Events are not limited.
 *
 * @module
 */

import { RemoteError } from "../errors.ts";
import { isPeerFault, type Log, writeLine, writeNote } from "./log.ts";
import { Timeout } from "../base/timer_entry.ts";
import type { TimerWheel } from "../base/timer_wheel.ts";
import type { Clock } from "../base/clock.ts";
import { printable } from "../base/untrusted.ts";

/** The most lines of one kind in one span. */
const MOST_LINES = 10;
/** The length of a span, in milliseconds. */
const SPAN = 1_000;
/** The most kinds. The library has about twenty, but a program can throw errors of any name. */
const MOST_KINDS = 64;

type Level = "debug" | "warn" | "error";

/** The lines of one kind. */
interface Kind {
  readonly name: string;
  readonly level: Level;
  /** The time at which the span began. */
  from: number;
  /** The number of lines that were written in the span. */
  lines: number;
  /** The number of lines that were left out. */
  more: number;
}

/** Writes log lines that peers can cause, and limits their number. */
export class FaultLog {
  readonly #log: Log;
  /** Created with the first line. */
  #kinds: Map<string, Kind> | undefined = undefined;
  /** Set while there can be peers, as is the clock. */
  #wheel: TimerWheel | undefined = undefined;
  #clock: Clock | undefined = undefined;
  /** Reports the lines that were left out, if no other line comes after the end of the span. */
  #later: Timeout | undefined = undefined;

  /** @param log The log that the lines are written to. */
  constructor(log: Log) {
    this.#log = log;
  }

  /** Begins to limit lines. */
  begin(wheel: TimerWheel, clock: Clock): void {
    this.#wheel = wheel;
    this.#clock = clock;
  }

  /** Reports what was left out, and stops limiting lines: there are no more peers. */
  end(): void {
    for (const kind of this.#kinds?.values() ?? []) this.#tell(kind);
    if (this.#later !== undefined) this.#wheel?.remove(this.#later);
    this.#kinds =
      this.#wheel =
      this.#clock =
      this.#later =
        undefined;
  }

  /**
   * Writes a line about an error.
   *
   * @param error The value that was thrown.
   * @param about The name of the message type whose handler failed.
   */
  error(level: "warn" | "error", error: unknown, about?: string): void {
    if (this.#may(level, nameOf(error, about))) writeLine(this.#log, level, error);
  }

  /** Writes a line about a peer. `text` is called only if the logger has the method for it. */
  note(level: "debug" | "warn", kind: string, text: () => string): void {
    if (this.#log[level] !== undefined && this.#may(level, kind)) writeNote(this.#log, level, text);
  }

  /** Counts a line. Returns whether it may be written now. */
  #may(level: Level, name: string): boolean {
    if (this.#clock === undefined) return true;
    const now = this.#clock.now();
    const kind = this.#kind(level, name, now);
    if (now - kind.from >= SPAN) {
      this.#tell(kind);
      kind.from = now;
      kind.lines = 0;
    }
    if (kind.lines < MOST_LINES) {
      kind.lines++;
      return true;
    }
    kind.more++;
    this.#later ??= new Timeout(() => this.#due());
    if (this.#later.tick < 0) this.#wheel!.add(this.#later, kind.from + SPAN - now);
    return false;
  }

  #kind(level: Level, name: string, now: number): Kind {
    const kinds = this.#kinds ??= new Map();
    const key = `${level} ${name}`;
    const known = kinds.get(key);
    if (known !== undefined) return known;
    if (kinds.size >= MOST_KINDS && name !== OTHER) return this.#kind(level, OTHER, now);
    const kind: Kind = { name, level, from: now, lines: 0, more: 0 };
    kinds.set(key, kind);
    return kind;
  }

  /** Called when the span of a kind is over. */
  #due(): void {
    const now = this.#clock!.now();
    let next = Infinity;
    for (const kind of this.#kinds!.values()) {
      if (kind.more === 0) continue;
      const left = kind.from + SPAN - now;
      if (left <= 0) this.#tell(kind);
      else next = Math.min(next, left);
    }
    if (next < Infinity) this.#wheel!.add(this.#later!, next);
  }

  #tell(kind: Kind): void {
    const { level, more, name } = kind;
    kind.more = 0;
    if (more > 0) writeNote(this.#log, level, () => `… and ${more.toLocaleString("en-US")} more: ${name}`);
  }
}

const OTHER = "other errors";

/** Returns the kind of an error's line. It contains no text that a peer wrote. */
function nameOf(error: unknown, about: string | undefined): string {
  if (isPeerFault(error)) return error instanceof RemoteError ? error.name : `${error.name} ${error.code}`;
  const where = about === undefined ? "" : ` in "${about}"`;
  try {
    const { name, code } = error as { readonly name?: unknown; readonly code?: unknown };
    const what = typeof name === "string" ? printable(name) : typeof error;
    return typeof code === "string" ? `${what} ${printable(code)}${where}` : `${what}${where}`;
  } catch {
    // Anything can be thrown, even an object whose members cannot be read.
    return `${typeof error}${where}`;
  }
}
