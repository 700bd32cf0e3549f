/**
 * Figures about times: the ones that `ping` prints at its end, and a histogram for the terminal.
 *
 * @module
 */

/** Figures about times in milliseconds. */
export interface Latency {
  readonly min: number;
  readonly avg: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  /** The standard deviation of all of them. */
  readonly stddev: number;
}

/** A range of times and how many are in it. */
export interface Bin {
  /** The shortest time of the range; those that are `to` belong to the next one. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** Returns the figures of some times; `undefined` if there is none. */
export function latencyOf(times: readonly number[]): Latency | undefined {
  if (times.length === 0) return undefined;
  const sorted = [...times].sort((a, b) => a - b);
  const avg = sorted.reduce((sum, time) => sum + time, 0) / sorted.length;
  const variance = sorted.reduce((sum, time) => sum + (time - avg) ** 2, 0) / sorted.length;
  return {
    min: sorted[0],
    avg,
    p50: percentile(sorted, 50),
    p95: percentile(sorted, 95),
    p99: percentile(sorted, 99),
    max: sorted[sorted.length - 1],
    stddev: Math.sqrt(variance),
  };
}

/**
 * Returns the smallest time that `percent` of them are not above (nearest rank).
 *
 * @param sorted The times in ascending order; at least one.
 */
export function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * percent / 100) - 1)];
}

/** The width of a range is one of these, times a power of ten. */
const STEPS = [1, 2, 2.5, 5, 10];

/**
 * Counts times in ranges of the same width, with round limits. Times above the last range are counted in it.
 *
 * @param times The times.
 * @param most The most ranges. The width is chosen so that 99 % of the times are in their own range.
 */
export function binsOf(times: readonly number[], most: number = 10): Bin[] {
  if (times.length === 0) return [];
  const sorted = [...times].sort((a, b) => a - b);
  const low = sorted[0];
  const high = percentile(sorted, 99);
  const wanted = Math.max((high - low) / most, low / 1000, 1e-6);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const width = power * STEPS.find((step) => step * power >= wanted * (1 - 1e-9))!;
  const first = Math.floor(low / width + 1e-9);
  const last = Math.min(Math.floor(high / width + 1e-9), first + most);
  const counts = Array.from({ length: last - first + 1 }, () => 0);
  for (const time of sorted) counts[Math.min(Math.max(Math.floor(time / width + 1e-9), first), last) - first]++;
  return counts.map((count, i) => ({ from: (first + i) * width, to: (first + i + 1) * width, count }));
}

/**
 * Returns a histogram, a line a range.
 *
 * @param bins The ranges.
 * @param columns The width of the lines.
 */
export function histogram(bins: readonly Bin[], columns: number): string[] {
  const most = Math.max(...bins.map(({ count }) => count));
  const labels = bins.map(({ from, to }) => `${timeText(from)} – ${timeText(to)} ms`);
  const label = Math.max(...labels.map(({ length }) => length));
  const digits = String(most).length;
  const room = Math.max(1, columns - label - digits - 3);
  return bins.map(({ count }, i) =>
    `${labels[i].padStart(label)} ${String(count).padStart(digits)} ${bar(count / most * room)}`.trimEnd()
  );
}

/** The eighths of a block. */
const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

function bar(length: number): string {
  const eighths = Math.round(length * 8);
  return "█".repeat(eighths >> 3) + (eighths === 0 && length > 0 ? "▏" : EIGHTHS[eighths & 7]);
}

/** Returns a time in milliseconds for people, with three significant digits or more. */
export function timeText(ms: number): string {
  return ms >= 100 ? ms.toFixed(0) : ms >= 10 ? ms.toFixed(1) : ms >= 1 ? ms.toFixed(2) : ms.toFixed(3);
}

/** Returns a time in milliseconds for JSON, rounded to microseconds. */
export function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
