/**
 * A log that keeps its lines.
 *
 * @module
 */

/**
 * A log for the option `logger`. It prints nothing, and keeps the warnings and errors.
 *
 * @category Testing
 */
export class LogLines {
  /** The lines: the level, then what was logged. */
  readonly lines: (readonly unknown[])[] = [];

  /** Keeps a warning. */
  warn(...line: unknown[]): void {
    this.lines.push(["warn", ...line]);
  }

  /** Keeps an error. */
  error(...line: unknown[]): void {
    this.lines.push(["error", ...line]);
  }
}
