/**
 * The functions of the pages.
 *
 * @module
 */

import { add, block, close, connect, hold, leave, news, rarest, release, report } from "./client.ts";
import type { Result } from "../../pairs/contract.ts";
import { refusal } from "./refusal.ts";
import { download, numbers, unread, upload } from "./streams.ts";

/** Loads the checks only then, because they bring the encryption with them. */
async function contract(url: string, trust: string | null): Promise<Result[]> {
  return await (await import("./contract.ts")).contract(url, trust);
}

/** All of them, by their names. */
export const CALLS = {
  add,
  block,
  close,
  connect,
  contract,
  download,
  hold,
  leave,
  news,
  numbers,
  rarest,
  refusal,
  release,
  report,
  unread,
  upload,
} as const;

/** The functions, for the test. */
export type PageCalls = typeof CALLS;
