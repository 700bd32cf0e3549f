/**
 * The options of `doctor`.
 *
 * @module
 */

import type { TargetOptions } from "../target.ts";

/** Options of an examination. */
export interface ExamineOptions extends TargetOptions {
  /** The origin of a page that wants to connect, such as `"https://example.org"`. */
  readonly origin?: string | undefined;
}
