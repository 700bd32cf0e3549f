/**
 * Options of sending a message.
 *
 * @module
 */

import { type Metadata, metadataMembers } from "../wire/metadata.ts";

/** Options of a message; all optional. */
export interface SendOptions {
  /**
   * Metadata for the handler, which reads it as `message.meta`: at most 64 names, and 8 KiB as JSON.
   * @default none
   */
  readonly meta?: Metadata | undefined;
}

/** Returns the members of the metadata of a message, see `metadataMembers`. Throws the same errors. */
export function sendMeta(name: string, options: SendOptions | undefined): string {
  return options?.meta === undefined ? "" : metadataMembers(`Cannot send "${name}"`, options.meta, false);
}
