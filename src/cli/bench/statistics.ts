/**
 * Medians, percentiles and slopes.
 *
 * @module
 */

/** The median of at least one value. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >>> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** A figure, or a comparison of two, with the interval that holds it in 95 of 100 cases. */
export interface Compared {
  readonly low: number;
  readonly middle: number;
  readonly high: number;
}

/** How often the rounds are drawn anew. */
const DRAWS = 2_000;

/**
 * The median of a figure, or what it is to the median of another one, with a 95 % interval: the rounds are drawn anew, with
 * repetitions, again and again. Round `i` of both was measured in the same turn, so they are drawn together. The same values
 * give the same interval.
 */
export function interval(
  values: readonly number[],
  against?: readonly number[],
  how: "ratio" | "difference" = "ratio",
): Compared {
  const rounds = Math.min(values.length, against?.length ?? Infinity);
  const compare = (picked: readonly number[]): number => {
    const one = median(picked.map((i) => values[i]));
    if (against === undefined) return one;
    const other = median(picked.map((i) => against[i]));
    return how === "ratio" ? one / other : one - other;
  };
  const all = Array.from({ length: rounds }, (_, i) => i);
  let state = 1;
  const draw = (): number => {
    // The generator of Park and Miller: any will do.
    state = state * 48_271 % 2_147_483_647;
    return state % rounds;
  };
  const drawn = Array.from({ length: DRAWS }, () => compare(all.map(draw)));
  return { low: percentile(drawn, 2.5), middle: compare(all), high: percentile(drawn, 97.5) };
}

/** The value that `percent` of the values do not exceed (nearest rank). */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)];
}

/** The same, between two ranks where it falls between them: what Python's benchmark takes since 3.0. 0 without values. */
export function interpolated(values: readonly number[], percent: number): number {
  if (values.length === 0) return 0;
  const sorted = Float64Array.from(values).sort();
  const rank = (percent / 100) * (sorted.length - 1);
  const low = sorted[Math.floor(rank)];
  return low + (sorted[Math.ceil(rank)] - low) * (rank % 1);
}

/** The mean; 0 without values. */
export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The standard deviation of a sample; 0 for fewer than two values. */
export function deviation(values: readonly number[]): number {
  if (values.length < 2) return 0;
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

/** The least value; unlike `Math.min(...)` for any number of values. */
export function least(values: readonly number[]): number {
  return values.reduce((found, value) => Math.min(found, value), Infinity);
}

/** The greatest value. */
export function greatest(values: readonly number[]): number {
  return values.reduce((found, value) => Math.max(found, value), -Infinity);
}

/** How much `y` grows for each unit of `x`: the line of least squares through at least two points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const x = mean(points.map((point) => point[0]));
  const y = mean(points.map((point) => point[1]));
  const covariance = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return covariance / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}
