/**
 * The lines that peers can cause in the log of one Server or Client: at most ten a second of each kind, then one that says how
 * many more there were. Events are not limited.
 *
 * @module
 */

import { RemoteError } from "../errors.ts";
import { isPeerFault, type Log, writeLine, writeNote } from "./log.ts";
import { Timeout, type TimerWheel } from "../base/timer_wheel.ts";
import type { Clock } from "../base/clock.ts";
import { printable } from "../base/untrusted.ts";

/** Lines of one kind in one span. */
const MOST_LINES = 10;
/** The span, in milliseconds. */
const SPAN = 1_000;
/** Kinds that are told apart. Those of the library are some twenty; a program can throw errors of any name. */
const MOST_KINDS = 64;

type Level = "debug" | "warn" | "error";

/** What was written of one kind. */
interface Kind {
  readonly name: string;
  readonly level: Level;
  /** When the span began, by the clock. */
  from: number;
  /** Lines in it. */
  lines: number;
  /** Lines that were left out. */
  more: number;
}

/** See the module. */
export class FaultLog {
  readonly #log: Log;
  /** Made with the first line. */
  #kinds: Map<string, Kind> | undefined = undefined;
  /** What tells the time while there can be peers. */
  #wheel: TimerWheel | undefined = undefined;
  #clock: Clock | undefined = undefined;
  /** Tells how many more there were, when the span is over and no other line comes. */
  #later: Timeout | undefined = undefined;

  /** @param log Where the lines go. */
  constructor(log: Log) {
    this.#log = log;
  }

  /** Limits lines from now on. */
  begin(wheel: TimerWheel, clock: Clock): void {
    this.#wheel = wheel;
    this.#clock = clock;
  }

  /** Tells what was left out. From now on nothing is: there are no peers. */
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
   * @param level How bad it is.
   * @param error What was thrown.
   * @param about The name of the message type it is about.
   */
  error(level: "warn" | "error", error: unknown, about?: string): void {
    if (this.#may(level, nameOf(error, about))) writeLine(this.#log, level, error);
  }

  /** Writes a line about a peer, made only if the logger takes it. */
  note(level: "debug" | "warn", kind: string, text: () => string): void {
    if (this.#log[level] !== undefined && this.#may(level, kind)) writeNote(this.#log, level, text);
  }

  /** Whether a line may be written now; counts it. */
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

  /** Spans are over. */
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

/** What kind of line an error makes: nothing in it is a peer's word. */
function nameOf(error: unknown, about: string | undefined): string {
  if (isPeerFault(error)) return error instanceof RemoteError ? error.name : `${error.name} ${error.code}`;
  const where = about === undefined ? "" : ` in "${about}"`;
  try {
    const { name, code } = error as { readonly name?: unknown; readonly code?: unknown };
    const what = typeof name === "string" ? printable(name) : typeof error;
    return typeof code === "string" ? `${what} ${printable(code)}${where}` : `${what}${where}`;
  } catch {
    // Anything can be thrown, also what can't be looked at.
    return `${typeof error}${where}`;
  }
}
