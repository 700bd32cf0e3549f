/**
 * Calls the hooks of the features of a session. If a hook throws, that affects its own frame and nothing else.
 *
 * @module
 */

import type { PulledSource } from "../link/pulled_sources.ts";
import type { ReceivedFrame } from "../wire/decoded_frame.ts";
import type { FeatureHost, FeaturePart } from "./feature.ts";

/** Counts the messages of a session. */
export type MessageMeter = Required<Pick<FeaturePart, "message" | "handled">>;

/** Returns one meter for all parts that count messages; `undefined` if there are none. */
export function meterOf(
  parts: readonly FeaturePart[],
  messageFailed: (error: unknown) => void,
  handledFailed: (error: unknown) => void,
): MessageMeter | undefined {
  const seeing = parts.filter((part) => part.message !== undefined || part.handled !== undefined);
  if (seeing.length === 0) return undefined;
  const [first] = seeing;
  if (seeing.length === 1 && first.message !== undefined && first.handled !== undefined) return first as MessageMeter;
  return {
    message(size: number): void {
      for (const part of seeing) {
        try {
          part.message?.(size);
        } catch (error) {
          messageFailed(error);
        }
      }
    },
    handled(size: number, host: FeatureHost): void {
      for (const part of seeing) {
        try {
          part.handled?.(size, host);
        } catch (error) {
          handledFailed(error);
        }
      }
    },
  };
}

/**
 * Returns a frame with its payload decoded, in the reverse of the order in which the parts encode. Its `size` remains the
 * one that limits and credit count.
 */
export function decodeBy(parts: readonly FeaturePart[], frame: ReceivedFrame): ReceivedFrame {
  for (let i = parts.length - 1; i >= 0; i--) {
    const content = parts[i].decode?.(frame);
    if (content instanceof Uint8Array) frame = copyWith(frame, content, frame.meta);
    else if (content !== undefined) frame = copyWith(frame, content.content, content.meta);
  }
  return frame;
}

/** Returns a frame whose payload is decoded later. Its `size` is the one that the payload will have. */
export function measured({ code, flags, requestId, sentAt, content }: ReceivedFrame, size: number): ReceivedFrame {
  return { code, flags, requestId, sentAt, size, content, meta: undefined };
}

function copyWith(
  { code, flags, requestId, sentAt, size }: ReceivedFrame,
  content: Uint8Array,
  meta: ReceivedFrame["meta"],
): ReceivedFrame {
  return { code, flags, requestId, sentAt, size, content, meta };
}

/** Tells all parts something. If one throws, `failed` is called with the error, and the others are still told. */
export function tellAll(
  parts: readonly FeaturePart[],
  tell: (part: FeaturePart) => void,
  failed: (error: unknown) => void,
): void {
  for (const part of parts) {
    try {
      tell(part);
    } catch (error) {
      failed(error);
    }
  }
}

/** Returns a source that ends when `source` throws. `failed` is then called with the error. */
export function guarded(source: PulledSource, failed: (error: unknown) => void): PulledSource {
  return {
    pull: () => {
      try {
        return source.pull();
      } catch (error) {
        failed(error);
        return false;
      }
    },
  };
}
