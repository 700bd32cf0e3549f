/**
 * A plugin that replaces words in messages before a handler sees them: in texts, and in all texts within JSON. A message that
 * it cannot filter fails, because a plugin with `messages:modify` that throws stops its message.
 *
 * @module
 */

import { definePlugin } from "@veltix/core";

/** Options of the plugin. */
export interface ProfanityFilterOptions {
  /** The words. Upper and lower case are the same, and only whole words count. */
  readonly words: readonly string[];
  /** What stands for each letter. @default "*" */
  readonly mask?: string;
}

/** The plugin. Attach it `"before"` the types that people write. */
export const profanityFilter = definePlugin({
  name: "profanity-filter",
  version: "1.0.0",
  permissions: ["messages:modify"],
  options: ({ words, mask = "*" }: ProfanityFilterOptions) => {
    if (words.length === 0 || words.some((word) => word === "")) throw new TypeError("words must be a list of words");
    return { words: [...words], mask };
  },
  setup: (_host, { words, mask }) => {
    const any = words.map((word) => word.normalize("NFC").replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|");
    const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(?:${any})(?![\\p{L}\\p{N}])`, "giu");
    const masked = (text: string): string =>
      text.normalize("NFC").replace(pattern, (word) => mask.repeat([...word].length));

    /** Returns a copy with all texts masked; bytes and other objects stay as they are. */
    function filter(value: unknown): unknown {
      if (typeof value === "string") return masked(value);
      if (Array.isArray(value)) return value.map(filter);
      if (typeof value !== "object" || value === null) return value;
      const prototype = Object.getPrototypeOf(value);
      if (prototype !== Object.prototype && prototype !== null) return value;
      return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, filter(member)]));
    }

    return { before: ({ data }) => ({ data: filter(data) }) };
  },
});
