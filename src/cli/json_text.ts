/**
 * JSON of strangers.
 *
 * @module
 */

/**
 * How deep JSON may be nested so that it is taken for JSON. Deeper values can be parsed, and not be printed or compared: the
 * stack would overflow.
 */
const DEEPEST = 200;

/** Parses JSON. Returns `undefined` for anything else, and for JSON that is nested too deep. */
export function parseJson(text: string): unknown {
  if (!/^[\s]*[[{"\d\-tfn]/.test(text) || isDeep(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Returns whether brackets outside of strings are nested too deep. */
function isDeep(text: string): boolean {
  let depth = 0;
  let string = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (string) {
      if (character === "\\") i++;
      else if (character === '"') string = false;
    } else if (character === '"') string = true;
    else if (character === "[" || character === "{") {
      if (++depth > DEEPEST) return true;
    } else if (character === "]" || character === "}") depth--;
  }
  return false;
}
