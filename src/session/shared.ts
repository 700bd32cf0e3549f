/**
 * Defines what all sessions of a Server or a Client share.
 *
 * @module
 */

import type { ByteBudget } from "../base/byte_budget.ts";
import type { LinkShared } from "../link/link.ts";
import type { FeatureSet } from "./feature.ts";
import type { SenderShared } from "./sender.ts";

/** What all sessions of a Server or a Client share. */
export interface SessionShared extends LinkShared, SenderShared {
  readonly tuning: LinkShared["tuning"];
  readonly observers: SenderShared["observers"];
  readonly features: FeatureSet;
  readonly limits: LinkShared["limits"] & {
    readonly maxDrain: number;
    readonly maxStreamBytes: number;
    readonly maxStreamWindow: number;
  };
  /** What the windows of the streams of all sessions may take. */
  readonly streamBudget: ByteBudget;
}
