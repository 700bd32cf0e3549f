/**
 * Text that a peer wrote, made fit to be shown: no control characters, which command a terminal, no line breaks, which make
 * lines of their own, nothing that changes the direction of text, no half of a surrogate pair.
 *
 * @module
 */

/** How much of a text is shown. */
const MOST = 200;

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** The same but for what a text of several lines, or in some scripts, is made of: breaks, tabs and joiners. */
const UNREADABLE = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** At most 200 characters of a peer's text, without control and format characters, for messages and logs. */
export function printable(text: string): string {
  return oneLine(text.slice(0, MOST));
}

/** The same, and how much was left out. */
export function excerpt(text: string): string {
  const more = text.length - MOST;
  return more <= 0 ? printable(text) : `${printable(text)}… (${more} more characters)`;
}

/** A text of any length without control and format characters. */
export function oneLine(text: string): string {
  return text.replace(UNPRINTABLE, "?");
}

/** A text of several lines, which keeps its line breaks, tabs and joiners. */
export function readable(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(UNREADABLE, "?");
}
