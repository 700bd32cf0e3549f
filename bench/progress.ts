/**
 * What a run shows of itself: on a terminal one line that changes, elsewhere a line for each sample.
 *
 * @module
 */

/** The line on standard error. */
export class Progress {
  readonly #start = performance.now();
  readonly #terminal = Deno.stderr.isTerminal();
  readonly #steps: number;
  #line = "";

  constructor(steps: number) {
    this.#steps = steps;
  }

  /** The next sample begins. */
  step(index: number, what: string): void {
    const seconds = (performance.now() - this.#start) / 1000;
    const left = index === 0 ? "" : `, about ${duration(seconds / index * (this.#steps - index))} left`;
    this.#line = `[${index + 1}/${this.#steps}] ${what}, ${duration(seconds)}${left}`;
    if (this.#terminal) this.#show(this.#line);
    else console.error(this.#line);
  }

  /** A line that stays. */
  say(text: string): void {
    if (this.#terminal) this.#show("");
    console.error(text);
    if (this.#terminal) this.#show(this.#line);
  }

  /** Nothing is under way any more. */
  end(): void {
    if (this.#terminal) this.#show("");
  }

  #show(line: string): void {
    const { columns } = Deno.consoleSize();
    Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${line.slice(0, columns > 20 ? columns - 1 : 80)}`));
  }
}

function duration(seconds: number): string {
  return seconds < 100 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(0)} min`;
}
