/**
 * Reads the names in a certificate from its bytes. The texts of the runtimes do not do: that of Deno joins the parts of a
 * name without escaping them, so that one part can pass for another.
 *
 * @module
 */

import { type Element, isObject, signedParts, within } from "./der.ts";

/** The names in a certificate. */
export interface CertificateNames {
  /** The common name of its owner; empty if it has none. */
  readonly subject: string;
  /** The common name of who signed it; empty if it has none. */
  readonly issuer: string;
  /** The names and addresses that it is for, such as `"DNS:example.org"` and `"IP Address:127.0.0.1"`. */
  readonly names: readonly string[];
}

const EXPLICIT_EXTENSIONS = 0xa3;
const OCTET_STRING = 0x04;
const BMP_STRING = 0x1e;
/** The object identifiers of the common name (2.5.4.3) and of the alternative names (2.5.29.17), in hexadecimal digits. */
const COMMON_NAME = "550403";
const ALTERNATIVE_NAMES = "551d11";
/** What the kinds of alternative names are called, by their tags. */
const KINDS: Readonly<Record<number, string>> = { 0x81: "email:", 0x82: "DNS:", 0x86: "URI:", 0x87: "IP Address:" };

/** Returns the names in a certificate. What cannot be read is left out. */
export function namesOf(certificate: Uint8Array): CertificateNames {
  try {
    const parts = signedParts(certificate);
    const [, , issuer, , subject] = parts;
    const extensions = parts.find(({ tag }) => tag === EXPLICIT_EXTENSIONS);
    return {
      subject: commonName(certificate, subject),
      issuer: commonName(certificate, issuer),
      names: extensions === undefined ? [] : alternativeNames(certificate, extensions),
    };
  } catch (error) {
    if (error instanceof RangeError) return { subject: "", issuer: "", names: [] };
    throw error;
  }
}

/** Returns the last common name of a name, which is the most specific one. */
function commonName(bytes: Uint8Array, name: Element): string {
  let found = "";
  for (const set of within(bytes, name)) {
    for (const attribute of within(bytes, set)) {
      const [type, value] = within(bytes, attribute);
      if (isObject(bytes, type, COMMON_NAME) && value !== undefined) found = textOf(bytes, value);
    }
  }
  return found;
}

function alternativeNames(bytes: Uint8Array, extensions: Element): string[] {
  const [list] = within(bytes, extensions);
  for (const extension of within(bytes, list)) {
    const parts = within(bytes, extension);
    const value = parts.at(-1);
    if (!isObject(bytes, parts[0], ALTERNATIVE_NAMES) || value?.tag !== OCTET_STRING) continue;
    const [names] = within(bytes, value);
    return within(bytes, names).flatMap((name) => {
      const kind = KINDS[name.tag];
      const content = bytes.subarray(name.from, name.end);
      if (kind === undefined) return [];
      return [kind + (name.tag === 0x87 ? ipText(content) : new TextDecoder().decode(content))];
    });
  }
  return [];
}

function ipText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: bytes.length / 2 }, (_, i) => bytes[2 * i] << 8 | bytes[2 * i + 1]);
  return groups.map((group) => group.toString(16)).join(":");
}

function textOf(bytes: Uint8Array, { tag, from, end }: Element): string {
  return new TextDecoder(tag === BMP_STRING ? "utf-16be" : "utf-8").decode(bytes.subarray(from, end));
}
