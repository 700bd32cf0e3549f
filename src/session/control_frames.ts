/**
 * Handles the control frames that every session knows. Those of features are handled in `features/`.
 *
 * @module
 */

import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import { Flag, SystemCode } from "../wire/frame.ts";
import type { Inbox } from "./owner.ts";
import type { Sender } from "./sender.ts";

/** The session that received a control frame. */
export interface ControlHost {
  readonly native: boolean;
  readonly inbox: Inbox;
  readonly sender: Sender;
}

/** Handles one kind of control frame. Returns false if the frame means nothing. */
type ControlHandler = (frame: ReceivedFrame, host: ControlHost) => boolean;

/** The handlers, by system code. */
const HANDLERS: readonly (ControlHandler | undefined)[] = /* @__PURE__ */ Array.from(
  { length: SystemCode.CANCEL + 1 },
  (_, code) => code === SystemCode.PING ? ping : code === SystemCode.CANCEL ? cancel : undefined,
);

/** Handles a control frame. Returns false if its code has no handler here, or if the frame means nothing. */
export function controlFrame(frame: ReceivedFrame, host: ControlHost): boolean {
  return HANDLERS[frame.code]?.(frame, host) ?? false;
}

function ping(frame: ReceivedFrame, { native, inbox, sender }: ControlHost): boolean {
  if (native && (frame.flags & Flag.REQUEST) === 0) return false;
  if (!native) sender.pending.ids.seenFromPeer(frame.requestId);
  // Whoever receives streams measures the way with PINGs, at most one for two pieces.
  if (native && 2 * sender.pongs < sender.pieces || inbox.permits(frame)) sender.pong(frame);
  return true;
}

// A CANCEL is not counted against the rate limit: the request that it cancels has been.
function cancel({ flags, requestId }: ReceivedFrame, { native, inbox }: ControlHost): boolean {
  return native && (flags & Flag.REPLY) === 0 && inbox.cancel(requestId);
}
