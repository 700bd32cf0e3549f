/**
 * The error that every assertion of this room throws. Test runners know it by its name and its members.
 *
 * @module
 */

/**
 * Thrown by an assertion that does not hold. Runners show the difference between `actual` and `expected`.
 *
 * @category Testing
 */
export class AssertionError extends Error {
  /** `"AssertionError"`. */
  override readonly name = "AssertionError";
  /** What there was. */
  readonly actual: unknown;
  /** What was expected. */
  readonly expected: unknown;

  /**
   * Creates an error.
   *
   * @param message What did not hold.
   * @param values What there was, and what was expected.
   */
  constructor(message: string, values: { readonly actual?: unknown; readonly expected?: unknown } = {}) {
    super(message);
    this.actual = values.actual;
    this.expected = values.expected;
  }
}
