/**
 * The little statistics that the scenarios need.
 *
 * @module
 */

/** The value that a share of all values, from 0 to 1, does not exceed; NaN of none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** The middle value; NaN of none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** By how much values change from one to the next: the least-squares line through them. */
export function slope(values: readonly number[]): number {
  const middle = (values.length - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let covariance = 0;
  let variance = 0;
  values.forEach((value, i) => {
    covariance += (i - middle) * (value - mean);
    variance += (i - middle) ** 2;
  });
  return covariance / variance;
}

/** A number with its thousands apart. */
export function count(value: number): string {
  return value.toLocaleString("en");
}

/** Milliseconds with two decimals. */
export function ms(value: number): string {
  return `${value.toFixed(2)} ms`;
}

/** Bytes in MiB. */
export function mib(value: number): string {
  return `${(value / 2 ** 20).toFixed(2)} MiB`;
}

/** Milliseconds that all processes of a machine count from the same moment. */
export function sharedNow(): number {
  return performance.timeOrigin + performance.now();
}
