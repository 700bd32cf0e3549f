/**
 * Checks a header before the rest of its frame has arrived.
 *
 * @module
 */

import { crc8Header } from "./crc32.ts";
import { FIRST_APPLICATION_CODE, type HeaderCheck } from "./frame.ts";
import { flagFault, type Protocol } from "./protocols.ts";

/** The reason why a header cannot be valid. */
export interface HeaderFault {
  readonly code: "corrupt" | "message-too-large" | "protocol-error";
  /** Describes the fault in the message of the error. */
  readonly what: string;
}

/**
 * Checks as much of a header as has arrived.
 *
 * @param protocol The wire protocol.
 * @param limit The largest frame, header included, in bytes.
 * @param view A view of the buffer that holds the header.
 * @param at The offset of the header.
 * @param there The number of bytes that have arrived from `at` on, at least 1.
 * @returns What is wrong with the header; `undefined` if it is valid, or may become valid.
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
  const { flags, code } = layout;
  const special = flags >= 0 && (id !== 0 || view.getUint8(at + flags) !== 0 ||
    check !== undefined && view.getUint16(at + code) < FIRST_APPLICATION_CODE);
  const fault = special ? fieldFault(protocol, features, check, view, at, id) : undefined;
  if (fault !== undefined) return fault;
  const total = protocol.headerSize + size;
  return total <= limit ? undefined : tooLarge(total, limit);
}

// Functions of their own: the one above is called for every frame, and is fast as long as it is short.

/** Checks the flags, the code and the id of a header. */
function fieldFault(
  protocol: Protocol,
  features: number,
  check: HeaderCheck | undefined,
  view: DataView,
  at: number,
  id: number,
): HeaderFault | undefined {
  const { code, flags } = protocol.layout;
  const what = flagFault(protocol, view.getUint8(at + flags), view.getUint16(at + code), id, features, check);
  return what === undefined ? undefined : { code: "protocol-error", what };
}

function tooLarge(total: number, limit: number): HeaderFault {
  return { code: "message-too-large", what: `a frame of ${total} bytes is above the limit of ${limit}` };
}

const NO_MAGIC: HeaderFault = { code: "protocol-error", what: 'a frame does not begin with "VX"' };
const BAD_CHECK: HeaderFault = { code: "corrupt", what: "a header does not match its check byte" };
