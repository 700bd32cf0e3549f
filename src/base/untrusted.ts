/**
 * What a peer wrote: members of its JSON objects, read one by one with their types checked, and its text made fit to be
 * shown: no control characters, which command a terminal, no line breaks, which start a new line in a log, nothing that
 * changes the direction of text, no half of a surrogate pair.
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

/** A JSON object of a peer: only ever read member by member. */
export type PeerObject = Readonly<Record<string, unknown>>;

/** An own member that is an object; `undefined` otherwise. */
export function objectMember(object: PeerObject, name: string): PeerObject | undefined {
  const value = member(object, name);
  return isPeerObject(value) ? value : undefined;
}

/** An own member that is a string; `undefined` otherwise. */
export function stringMember(object: PeerObject, name: string): string | undefined {
  const value = member(object, name);
  return typeof value === "string" ? value : undefined;
}

/** An own member that is a whole number from `min` to `max`; `undefined` otherwise. */
export function integerMember(object: PeerObject, name: string, min: number, max: number): number | undefined {
  const value = member(object, name);
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max ? value as number : undefined;
}

/** An own member, of whatever type. */
export function member(object: PeerObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Returns whether a value of a peer is a JSON object. */
export function isPeerObject(value: unknown): value is PeerObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
