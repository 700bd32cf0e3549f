/**
 * The control frames that every session knows. Those of features are in the features' files.
 *
 * @module
 */

import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { Flag, SystemCode } from "../wire/frame.ts";
import type { Inbox } from "./owner.ts";
import type { Sender } from "./sender.ts";

/** The session that a control frame came to. */
export interface ControlHost {
  readonly native: boolean;
  readonly inbox: Inbox;
  readonly sender: Sender;
}

/** Handles one kind of control frame. Returns false if the frame means nothing. */
type ControlHandler = (frame: ReceivedFrame, host: ControlHost) => boolean;

/** By system code. */
const HANDLERS: readonly (ControlHandler | undefined)[] = Array.from(
  { length: SystemCode.CANCEL + 1 },
  (_, code) => code === SystemCode.PING ? ping : code === SystemCode.CANCEL ? cancel : undefined,
);

/** Handles a control frame. Returns false if it is none, or means nothing. */
export function controlFrame(frame: ReceivedFrame, host: ControlHost): boolean {
  return HANDLERS[frame.code]?.(frame, host) ?? false;
}

function ping(frame: ReceivedFrame, { native, inbox, sender }: ControlHost): boolean {
  if (native && (frame.flags & Flag.REQUEST) === 0) return false;
  if (!native) sender.pending.ids.seenFromPeer(frame.requestId);
  if (inbox.permits(frame)) sender.pong(frame);
  return true;
}

// The request that it cancels has been counted.
function cancel({ flags, requestId }: ReceivedFrame, { native, inbox }: ControlHost): boolean {
  return native && (flags & Flag.REPLY) === 0 && inbox.cancel(requestId);
}
