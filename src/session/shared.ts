/**
 * What all sessions of a Server or a Client share.
 *
 * @module
 */

import type { FrameSourceShared } from "../link/frame_source.ts";
import type { FrameWriterShared } from "../link/frame_writer.ts";
import type { HeartbeatPace } from "../link/heartbeat.ts";
import type { CreditTerms } from "../link/send_scheduler.ts";
import type { Observers } from "./observers.ts";

/** What all sessions of a Server or a Client share. */
export interface SessionShared extends FrameSourceShared, FrameWriterShared {
  /** How eagerly frames are written, and when silent peers are asked; `undefined` for never. */
  readonly tuning: FrameWriterShared["tuning"] & {
    readonly heartbeat: HeartbeatPace | undefined;
    readonly pythonHeartbeat: HeartbeatPace | undefined;
  };
  readonly observers: Observers;
  /** What native peers may send. */
  readonly credit: CreditTerms;
  readonly limits: FrameWriterShared["limits"] & {
    readonly maxMessageSize: number;
    readonly maxDrain: number;
  };
}
