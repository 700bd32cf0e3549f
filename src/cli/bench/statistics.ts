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
  const draw = generator();
  const drawn = Array.from({ length: DRAWS }, () => compare(all.map(() => draw(rounds))));
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

/** Two figures of different runs. */
export interface Change {
  /** The median after by the median before; `undefined` if that was 0. */
  readonly ratio: number | undefined;
  /** The interval that holds the ratio in 95 of 100 cases; `undefined` if a median before is 0. */
  readonly range: readonly [low: number, high: number] | undefined;
  /** Whether the medians differ in 95 of 100 cases. Two values each never show that, however far apart they are. */
  readonly isCertain: boolean;
}

/** Rounds on either side without which chance alone would tell them apart too often: of 70 orders of eight values, two. */
export const ROUNDS_TO_TELL = 4;

/** Compares the rounds of two runs. Unlike those of {@linkcode interval}, they were not taken in turns. */
export function changeOf(before: readonly number[], after: readonly number[]): Change {
  const draw = generator();
  const drawn = (values: readonly number[]): number => median(values.map(() => values[draw(values.length)]));
  const pairs = Array.from({ length: DRAWS }, () => [drawn(before), drawn(after)] as const);
  const differences = pairs.map(([old, now]) => now - old);
  const ratios = pairs.some(([old]) => old === 0) ? undefined : pairs.map(([old, now]) => now / old);
  const [old, now] = [median(before), median(after)];
  const differs = percentile(differences, 2.5) > 0 || percentile(differences, 97.5) < 0;
  return {
    ratio: old === 0 ? undefined : now / old,
    range: ratios === undefined ? undefined : [percentile(ratios, 2.5), percentile(ratios, 97.5)],
    isCertain: differs && Math.min(before.length, after.length) >= ROUNDS_TO_TELL,
  };
}

/** Returns a function that draws whole numbers below its argument, always the same ones in turn. */
function generator(): (below: number) => number {
  let state = 1;
  return (below) => {
    // The generator of Park and Miller: any will do.
    state = state * 48_271 % 2_147_483_647;
    return state % below;
  };
}
