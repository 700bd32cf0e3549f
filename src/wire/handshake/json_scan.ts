/**
 * Checks JSON without building its value: whether it is valid, how deep it nests and how many values it holds. It also
 * finds where some of the values are. A value that is built takes many times the bytes of its text: `{}` of two bytes
 * takes 56.
 *
 * @module
 */

/** The limits of one text. */
export interface JsonBounds {
  /** How deep arrays and objects may nest. */
  readonly depth: number;
  /**
   * How many values there may be, nested ones included. A name that is a number of up to four digits counts as that
   * many values, because an engine may create an array of that length for it.
   */
  readonly values: number;
}

/** The place of a value in the bytes. */
export interface Span {
  /** The index of its first byte. */
  readonly start: number;
  /** The index after its last byte. */
  readonly end: number;
}

/** The reason why a text is refused. */
export type JsonFault = "invalid" | "too-deep" | "too-many";

/**
 * Scans one value that has only whitespace around it, in time linear in the bytes.
 *
 * @param bytes The text, valid UTF-8.
 * @param bounds The limits of the text.
 * @param path Names of members, from the outermost to the innermost. Without it, no values are looked for.
 * @returns The places of the values that `path` leads to, in order, or the reason why the text is refused. There are
 * several places if a name occurs twice in one object; `JSON.parse` takes the last one.
 */
export function scanJson(bytes: Uint8Array, bounds: JsonBounds, path?: readonly string[]): Span[] | JsonFault {
  const scan = new Scan(bytes, bounds, path);
  return scan.whole() ? scan.spans : scan.fault;
}

const decoder = /* @__PURE__ */ new TextDecoder();

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/** One pass over a text. A method that reads a part of it returns false if the text is refused. */
class Scan {
  readonly spans: Span[] = [];
  fault: JsonFault = "invalid";
  readonly #bytes: Uint8Array;
  readonly #path: readonly string[];
  readonly #met: number;
  readonly #depth: number;
  #left: number;
  #at = 0;

  constructor(bytes: Uint8Array, { depth, values }: JsonBounds, path: readonly string[] | undefined) {
    this.#bytes = bytes;
    this.#path = path ?? [];
    this.#met = path === undefined ? -1 : 0;
    this.#depth = depth;
    this.#left = values;
  }

  whole(): boolean {
    if (!this.#value(0, this.#met)) return false;
    this.#space();
    return this.#at === this.#bytes.length;
  }

  /** @param met The number of names of the path that lead to this value; -1 if it is not on the path. */
  #value(depth: number, met: number): boolean {
    if (!this.#count(1)) return false;
    this.#space();
    const start = this.#at;
    const found = met === this.#path.length;
    if (!this.#any(depth, found ? -1 : met)) return false;
    if (found) this.spans.push({ start, end: this.#at });
    return true;
  }

  #any(depth: number, met: number): boolean {
    switch (this.#bytes[this.#at]) {
      case 0x7b:
        return this.#members(depth + 1, met, 0x7d);
      case 0x5b:
        return this.#members(depth + 1, -1, 0x5d);
      case QUOTE:
        return this.#string();
      case 0x74:
        return this.#word("true");
      case 0x66:
        return this.#word("false");
      case 0x6e:
        return this.#word("null");
      default:
        return this.#number();
    }
  }

  /** Reads an object or an array that ends with the byte `close`. */
  #members(depth: number, met: number, close: number): boolean {
    if (depth > this.#depth) return this.#refuse("too-deep");
    this.#at++;
    this.#space();
    if (this.#skip(close)) return true;
    for (;;) {
      let next = -1;
      if (close === 0x7d) {
        this.#space();
        const start = this.#at;
        if (this.#bytes[start] !== QUOTE || !this.#string()) return false;
        const name = this.#bytes.subarray(start, this.#at);
        if (!this.#count(indexOf(name))) return false;
        if (met >= 0 && isName(name, this.#path[met])) next = met + 1;
        this.#space();
        if (!this.#skip(COLON)) return false;
      }
      if (!this.#value(depth, next)) return false;
      this.#space();
      if (this.#skip(close)) return true;
      if (!this.#skip(COMMA)) return false;
    }
  }

  #string(): boolean {
    const bytes = this.#bytes;
    for (let at = this.#at + 1; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte < 0x20) return false;
      if (byte === QUOTE) {
        this.#at = at + 1;
        return true;
      }
      if (byte !== BACKSLASH) continue;
      const escaped = bytes[++at];
      if (escaped !== 0x75) {
        if (escaped === undefined || !ESCAPES.includes(String.fromCharCode(escaped))) return false;
        continue;
      }
      for (const end = at + 4; at < end; at++) {
        if (!isHex(bytes[at + 1])) return false;
      }
    }
    return false;
  }

  #number(): boolean {
    this.#skip(MINUS);
    if (!this.#skip(ZERO) && !this.#digits()) return false;
    if (this.#skip(DOT) && !this.#digits()) return false;
    if (!this.#skip(0x65) && !this.#skip(0x45)) return true;
    if (!this.#skip(0x2b)) this.#skip(MINUS);
    return this.#digits();
  }

  /** Reads digits. Returns false if there is none. */
  #digits(): boolean {
    const start = this.#at;
    while (isDigit(this.#bytes[this.#at])) this.#at++;
    return this.#at > start;
  }

  #word(word: string): boolean {
    for (let i = 0; i < word.length; i++) {
      if (this.#bytes[this.#at++] !== word.charCodeAt(i)) return false;
    }
    return true;
  }

  #skip(byte: number): boolean {
    if (this.#bytes[this.#at] !== byte) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #count(values: number): boolean {
    this.#left -= values;
    return this.#left >= 0 || this.#refuse("too-many");
  }

  #refuse(fault: JsonFault): false {
    this.fault = fault;
    return false;
  }
}

/** The characters that may follow a backslash, besides `u`. */
const ESCAPES = '"\\/bfnrt';

/** Returns whether a string with its quotes is this name, with or without escapes. */
function isName(string: Uint8Array, name: string): boolean {
  if (string.includes(BACKSLASH)) return JSON.parse(decoder.decode(string)) === name;
  if (string.length !== name.length + 2) return false;
  for (let i = 0; i < name.length; i++) {
    if (string[i + 1] !== name.charCodeAt(i)) return false;
  }
  return true;
}

/** Returns the number of up to four digits that a string with its quotes spells; 0 for any other string. */
function indexOf(string: Uint8Array): number {
  if (string.length > 6) return 0;
  let number = 0;
  for (let i = 1; i < string.length - 1; i++) {
    if (!isDigit(string[i])) return 0;
    number = 10 * number + string[i] - ZERO;
  }
  return number;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

function isHex(byte: number): boolean {
  return isDigit(byte) || byte >= 0x41 && byte <= 0x46 || byte >= 0x61 && byte <= 0x66;
}
