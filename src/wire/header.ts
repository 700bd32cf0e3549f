/**
 * Checks a header before the rest of its frame has arrived.
 *
 * @module
 */

import { crc8Header } from "./crc32.ts";
import { FIRST_APPLICATION_CODE, Flag, type HeaderCheck, SystemCode } from "./frame.ts";
import { isNative, type Protocol } from "./protocols.ts";

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

/**
 * Returns what is wrong with the flags and the id of a frame, or `undefined`. `extra` are the flags of negotiated
 * features, `check` checks their frames.
 */
export function flagFault(
  protocol: Protocol,
  flags: number,
  code: number,
  requestId: number | string,
  extra = 0,
  check?: HeaderCheck,
): string | undefined {
  const unknown = flags & ~(protocol.knownFlags | extra);
  if (unknown !== 0) return `the flag 0x${unknown.toString(16).padStart(2, "0")} is not in use`;
  if (!isNative(protocol)) return undefined;
  const request = (flags & Flag.REQUEST) !== 0;
  const reply = (flags & Flag.REPLY) !== 0;
  if (request && reply) return "REQUEST and REPLY are both set";
  if (!reply && (flags & Flag.ERROR) !== 0) return "ERROR is set without REPLY";
  if ((request || reply) && requestId === 0) return "a request or reply has the id 0";
  const verdict = (flags & extra) !== 0 || code < FIRST_APPLICATION_CODE
    ? check?.(flags, code, requestId as number)
    : undefined;
  if (typeof verdict === "string") return verdict;
  if (!request && !reply && requestId !== 0 && code !== SystemCode.CANCEL && verdict !== true) {
    return "an id is set without REQUEST or REPLY";
  }
  return undefined;
}

function tooLarge(total: number, limit: number): HeaderFault {
  return { code: "message-too-large", what: `a frame of ${total} bytes is above the limit of ${limit}` };
}

const NO_MAGIC: HeaderFault = { code: "protocol-error", what: 'a frame does not begin with "VX"' };
const BAD_CHECK: HeaderFault = { code: "corrupt", what: "a header does not match its check byte" };
