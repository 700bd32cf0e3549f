/**
 * What can be said against a header before the frame after it has come.
 *
 * @module
 */

import { crc8Header } from "./crc32.ts";
import type { HeaderCheck } from "./frame.ts";
import { flagFault, type Protocol } from "./protocols.ts";

/** Why a header can't be a good one. */
export interface HeaderFault {
  /** The code of the error. */
  readonly code: "corrupt" | "message-too-large" | "protocol-error";
  /** What is wrong, in words. */
  readonly what: string;
}

/**
 * Looks at as much of a header as there is.
 *
 * @param protocol How headers look.
 * @param limit The largest frame, header included, in bytes.
 * @param features Flags of negotiated features, or-ed.
 * @param check Checks frames for those features.
 * @param view Where the header stands, from `at` on.
 * @param at Where it begins.
 * @param there How many bytes are there, 1 at least.
 * @returns What is wrong with it; `undefined` if it is good, or may become good.
 */
export function headerFault(
  protocol: Protocol,
  limit: number,
  features: number,
  check: HeaderCheck | undefined,
  view: DataView,
  at: number,
  there: number,
): HeaderFault | undefined {
  const { layout } = protocol;
  if (layout.magic >= 0 && (there > 1 ? view.getUint16(at) !== 0x5658 : view.getUint8(at) !== 0x56)) return NO_MAGIC;
  if (there < protocol.early) return undefined;
  const size = view.getUint32(at + layout.size);
  let id = 0;
  if (layout.check >= 0) {
    const head = view.getInt32(at);
    id = view.getUint32(at + layout.id);
    if (crc8Header(head, size, id) !== head >>> 24) return BAD_CHECK;
  }
  if (layout.flags >= 0) {
    const flags = view.getUint8(at + layout.flags);
    if (flags !== 0 || id !== 0 || check !== undefined) {
      const what = flagFault(protocol, flags, view.getUint16(at + layout.code), id, features, check);
      if (what !== undefined) return { code: "protocol-error", what };
    }
  }
  const total = protocol.headerSize + size;
  if (total <= limit) return undefined;
  return { code: "message-too-large", what: `a frame of ${total} bytes is above the limit of ${limit}` };
}

const NO_MAGIC: HeaderFault = { code: "protocol-error", what: 'a frame does not begin with "VX"' };
const BAD_CHECK: HeaderFault = { code: "corrupt", what: "a header does not match its check byte" };
