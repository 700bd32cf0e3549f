/**
 * The version of this package.
 *
 * @module
 */

/**
 * The version of this package, such as `"1.2.3"`.
 *
 * @category Utilities
 */
export const VERSION = "0.1.0";
