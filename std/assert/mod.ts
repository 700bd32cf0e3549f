/**
 * A stand-in for `@std/assert`: the assertions this repository uses, with the signatures and the meaning of the
 * registry's package, because Bun and Node cannot resolve `jsr:` names. Remove the entry in `links` of `deno.json` to use the
 * real one on Deno.
 *
 * @module
 */
import { diff, format } from "./diff.ts";
import { equal } from "./equal.ts";

export { equal };

// deno-lint-ignore no-explicit-any
type AnyConstructor = new (...args: any[]) => any;
// deno-lint-ignore no-explicit-any
type ErrorConstructorOf<E extends Error> = new (...args: any[]) => E;

/** Thrown by every assertion that does not hold. */
export class AssertionError extends Error {
  /**
   * @param message What did not hold.
   * @param options The error's cause.
   */
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "AssertionError";
  }
}

function suffix(msg?: string): string {
  return msg ? `: ${msg}` : ".";
}

/** Asserts that a value is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** A value that is falsy. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

/** Asserts that a value is falsy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is Falsy {
  if (expr) throw new AssertionError(msg);
}

/** Asserts deep equality. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  throw new AssertionError(
    `Values are not equal${suffix(msg)}\n\n    [Diff] Actual (-) / Expected (+)\n\n${diff(actual, expected)}\n`,
  );
}

/** Asserts that two values are not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  throw new AssertionError(`Expected actual: ${format(actual)} not to be: ${format(expected)}${suffix(msg)}`);
}

/** Asserts that two values are the same by `Object.is`. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (Object.is(actual, expected)) return;
  const what = format(actual) === format(expected)
    ? `Values have the same structure but are not reference-equal${suffix(msg)}\n\n${format(actual)}\n`
    : `Values are not strictly equal${suffix(msg)}\n\n    [Diff] Actual (-) / Expected (+)\n\n${
      diff(actual, expected)
    }\n`;
  throw new AssertionError(what);
}

/** Asserts that two values are not the same by `Object.is`. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!Object.is(actual, expected)) return;
  throw new AssertionError(`Expected "actual" to not be strictly equal to: ${format(actual)}${suffix(msg)}\n`);
}

/** Asserts that two numbers differ by at most `tolerance`, by default a ten millionth of the expected one. */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, msg?: string): void {
  if (Object.is(actual, expected)) return;
  const limit = tolerance ?? (Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  const delta = Math.abs(expected - actual);
  if (delta <= limit) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to be close to "${expected}": delta "${delta}" is greater than "${limit}"${
      suffix(msg)
    }`,
  );
}

/** Asserts that a value is neither `null` nor `undefined`. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  throw new AssertionError(`Expected actual: "${actual}" to not be null or undefined${suffix(msg)}`);
}

/** Asserts that a value is an instance of a class. */
export function assertInstanceOf<T extends AnyConstructor>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  const found = actual === null || typeof actual !== "object"
    ? `${actual === null ? "null" : typeof actual}`
    : `"${actual.constructor?.name ?? "Object"}"`;
  throw new AssertionError(
    `Expected object to be an instance of "${expectedType.name || "anonymous class"}" but was ${found}${suffix(msg)}`,
  );
}

/** Asserts that a text contains another. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(`Expected actual: "${actual}" to contain: "${expected}"${suffix(msg)}`);
}

/** Asserts that a text matches a regular expression. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError(`Expected actual: "${actual}" to match: "${expected}"${suffix(msg)}`);
}

/** Asserts `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) throw new AssertionError(`Expect ${format(actual)} > ${format(expected)}${suffix(msg)}`);
}

/** Asserts `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) throw new AssertionError(`Expect ${format(actual)} >= ${format(expected)}${suffix(msg)}`);
}

/** Asserts `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) throw new AssertionError(`Expect ${format(actual)} < ${format(expected)}${suffix(msg)}`);
}

/** Asserts `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) throw new AssertionError(`Expect ${format(actual)} <= ${format(expected)}${suffix(msg)}`);
}

/** Asserts that a value is an error of a class whose message contains, or matches, a text. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: ErrorConstructorOf<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) {
    throw new AssertionError(`Expected "error" to be an Error object${suffix(msg)}`);
  }
  if (ErrorClass && !(error instanceof ErrorClass)) {
    throw new AssertionError(
      `Expected error to be instance of "${ErrorClass.name}", but was "${error.constructor?.name}"${suffix(msg)}`,
      { cause: error },
    );
  }
  const found = typeof msgMatches === "string" ? error.message.includes(msgMatches) : msgMatches?.test(error.message);
  if (msgMatches !== undefined && !found) {
    throw new AssertionError(
      `Expected error message to ${typeof msgMatches === "string" ? "include" : "match"} ${
        format(msgMatches)
      }, but got ${format(error.message)}${suffix(msg)}`,
      { cause: error },
    );
  }
}

/** Asserts that a function throws, and returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Asserts that a function throws an error of a class whose message contains a text, and returns the error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorConstructorOf<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  classOrMsg?: ErrorConstructorOf<E> | string,
  includesOrMsg?: string,
  msg?: string,
): unknown {
  const text = typeof classOrMsg === "string" ? classOrMsg : msg;
  let thrown: unknown;
  try {
    fn();
  } catch (error) {
    thrown = error;
    if (typeof classOrMsg === "function") {
      if (!(error instanceof Error)) throw new AssertionError(`A non-Error object was thrown${suffix(text)}`);
      assertIsError(error, classOrMsg, includesOrMsg, text);
    }
    return thrown;
  }
  throw new AssertionError(`Expected function to throw${suffix(text)}`);
}

/** Asserts that a function returns a promise that rejects, and resolves with the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Asserts that a promise rejects with an error of a class whose message contains a text, and resolves with it. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorConstructorOf<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: ErrorConstructorOf<E> | string,
  includesOrMsg?: string,
  msg?: string,
): Promise<unknown> {
  const text = typeof classOrMsg === "string" ? classOrMsg : msg;
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    throw new AssertionError(`Function throws when expected to reject${suffix(text)}`, { cause: error });
  }
  if (typeof promise?.then !== "function") {
    throw new AssertionError(`Function throws when expected to reject${suffix(text)}`);
  }
  try {
    await promise;
  } catch (error) {
    if (typeof classOrMsg === "function") {
      if (!(error instanceof Error)) throw new AssertionError(`A non-Error object was rejected${suffix(text)}`);
      assertIsError(error, classOrMsg, includesOrMsg, text);
    }
    return error;
  }
  throw new AssertionError(`Expected function to reject${suffix(text)}`);
}

/** Fails. */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${suffix(msg)}`);
}

/** Fails where the program should never come. */
export function unreachable(reason?: string): never {
  throw new AssertionError(reason ?? "Unreachable");
}
