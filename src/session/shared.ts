/**
 * What all sessions of a Server or a Client share.
 *
 * @module
 */

import type { FrameSourceShared } from "../link/frame_source.ts";
import type { HeartbeatPace } from "../link/heartbeat.ts";
import type { FeatureSet } from "./feature.ts";
import type { SenderShared } from "./sender.ts";

/** What all sessions of a Server or a Client share. */
export interface SessionShared extends FrameSourceShared, SenderShared {
  /** How eagerly frames are written, and when silent peers are asked; `undefined` for never. */
  readonly tuning: SenderShared["tuning"] & {
    readonly heartbeat: HeartbeatPace | undefined;
    readonly pythonHeartbeat: HeartbeatPace | undefined;
  };
  readonly features: FeatureSet;
  readonly limits: SenderShared["limits"] & {
    readonly maxMessageSize: number;
    readonly maxDrain: number;
  };
}
