/**
 * What happened in a simulation, line by line.
 *
 * @module
 */

/** The lines of a run. Each begins with the simulated time in milliseconds. */
export class Trace {
  /** The lines so far. */
  readonly lines: string[] = [];
  readonly #now: () => number;

  /** @param now Returns the simulated time, in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Adds a line. */
  add(text: string): void {
    this.lines.push(`${String(this.#now()).padStart(7)}  ${text}`);
  }
}

/** Random values: UUIDs, and what the library draws. They are not the same in two runs. */
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

/** Returns the text of an error without what differs between two runs or two runtimes. */
export function errorText(error: unknown): string {
  const { code, message, name } = error as { code?: unknown; message?: unknown; name?: unknown };
  if (typeof message !== "string") return String(error).replaceAll(UUID, "<uuid>");
  return `${name}${typeof code === "string" ? ` ${code}` : ""}: ${message}`.replaceAll(UUID, "<uuid>");
}
