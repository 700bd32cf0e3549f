/**
 * Reads DER, the form in which certificates are written.
 *
 * @module
 */

/** An element: its tag, and where its content lies. */
export interface Element {
  readonly tag: number;
  readonly from: number;
  readonly end: number;
}

const EXPLICIT_VERSION = 0xa0;
const OBJECT_ID = 0x06;

/**
 * Returns the parts of a certificate that are signed: serial number, algorithm, issuer, validity, subject and key; then
 * what is optional. The version is left out.
 *
 * @throws {RangeError} The certificate is cut.
 */
export function signedParts(certificate: Uint8Array): Element[] {
  const [whole] = elements(certificate, 0, certificate.length);
  const [signed] = within(certificate, whole);
  const parts = within(certificate, signed);
  if (parts[0]?.tag === EXPLICIT_VERSION) parts.shift();
  return parts;
}

/** Returns the object identifier of an element in hexadecimal digits; empty if it is something else. */
export function objectOf(bytes: Uint8Array, element: Element | undefined): string {
  if (element?.tag !== OBJECT_ID) return "";
  const content = bytes.subarray(element.from, element.end);
  return Array.from(content, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns whether an element is an object identifier, given in hexadecimal digits. */
export function isObject(bytes: Uint8Array, element: Element | undefined, id: string): boolean {
  return objectOf(bytes, element) === id;
}

/**
 * Returns the elements within an element.
 *
 * @throws {RangeError} There is no such element, or one of those within reaches beyond its end.
 */
export function within(bytes: Uint8Array, element: Element | undefined): Element[] {
  if (element === undefined) throw new RangeError("The certificate ends too early");
  return elements(bytes, element.from, element.end);
}

/** Returns the elements that lie one after the other. Throws a `RangeError` if one reaches beyond the end. */
function elements(bytes: Uint8Array, from: number, end: number): Element[] {
  const found: Element[] = [];
  for (let at = from; at < end;) {
    const tag = bytes[at++];
    let size = bytes[at++];
    if (size > 0x80) {
      const digits = size - 0x80;
      size = 0;
      for (let i = 0; i < digits && i < 5; i++) size = size * 256 + bytes[at++];
    }
    if (!(at + size <= end)) throw new RangeError("An element reaches beyond its end");
    found.push({ tag, from: at, end: at + size });
    at += size;
  }
  return found;
}
