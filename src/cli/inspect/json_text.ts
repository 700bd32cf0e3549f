/**
 * JSON of strangers.
 *
 * @module
 */

/** Parses JSON. Returns `undefined` for anything else. */
export function parseJson(text: string): unknown {
  if (!/^[\s]*[[{"\d\-tfn]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
