/**
 * Reads what a peer wrote. Members of its JSON objects are read one by one, with their types checked. Its text is made
 * fit to be shown. It then has no control characters, which command a terminal, no line breaks, which start a new line
 * in a log, nothing that changes the direction of text, and no half of a surrogate pair.
 *
 * @module
 */

/** The most characters of a text that are shown. */
const MOST = 200;

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
/** The same, except for what texts of several lines or in some scripts consist of: breaks, tabs and joiners. */
const UNREADABLE = /(?![\n\t\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/**
 * Returns at most 200 characters of a peer's text, for messages and logs. Each control or format character becomes a
 * `?`.
 */
export function printable(text: string): string {
  return oneLine(text.slice(0, MOST));
}

/** Does the same, and adds how much was left out. */
export function excerpt(text: string): string {
  const more = text.length - MOST;
  return more <= 0 ? printable(text) : `${printable(text)}… (${more} more characters)`;
}

/** Returns a text of any length in which each control or format character has become a `?`. */
export function oneLine(text: string): string {
  return text.replace(UNPRINTABLE, "?");
}

/** Returns a text of several lines. It keeps its line breaks, tabs and joiners; other such characters become a `?`. */
export function readable(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(UNREADABLE, "?");
}

/** A JSON object of a peer. Read it only member by member. */
export type PeerObject = Readonly<Record<string, unknown>>;

/** Returns an own member that is an object; `undefined` otherwise. */
export function objectMember(object: PeerObject, name: string): PeerObject | undefined {
  const value = member(object, name);
  return isPeerObject(value) ? value : undefined;
}

/** Returns an own member that is a string; `undefined` otherwise. */
export function stringMember(object: PeerObject, name: string): string | undefined {
  const value = member(object, name);
  return typeof value === "string" ? value : undefined;
}

/** Returns an own member that is a whole number from `min` to `max`; `undefined` otherwise. */
export function integerMember(object: PeerObject, name: string, min: number, max: number): number | undefined {
  const value = member(object, name);
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max ? value as number : undefined;
}

/** Returns an own member of any type; `undefined` if there is none. */
export function member(object: PeerObject, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Returns whether a value of a peer is a JSON object. */
export function isPeerObject(value: unknown): value is PeerObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
