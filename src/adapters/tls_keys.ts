/**
 * Checks the kind of key in a certificate. A runtime may take a key at first, and then fail in each handshake.
 *
 * @module
 */

import { type Element, objectOf, signedParts, within } from "./der.ts";

const RSA = "2a864886f70d010101";
const ELLIPTIC = "2a8648ce3d0201";
/** The kinds that TLS has on every runtime, by their object identifiers. */
const KINDS: ReadonlySet<string> = new Set([RSA, ELLIPTIC, "2b6570"]);
/** The curves that TLS has on every runtime: P-256, P-384 and P-521. */
const CURVES: ReadonlySet<string> = new Set(["2a8648ce3d030107", "2b81040022", "2b81040023"]);
const NAMES: Readonly<Record<string, string>> = {
  "2b6571": "Ed448",
  "2a864886f70d01010a": "RSA-PSS",
  "2a8648ce380401": "DSA",
};
/** The smallest modulus of RSA, in bits. */
const LEAST_RSA = 2_048;
const RIGHT = "TLS has RSA with at least 2,048 bits, P-256, P-384, P-521 and Ed25519 on every runtime";

/**
 * Checks the key of a certificate.
 *
 * @param pem The certificate, perhaps followed by others. If it cannot be read, it is not checked.
 * @throws {Error} TLS does not have keys of this kind on every runtime.
 */
export function checkKeyKind(pem: string): void {
  const found = /-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/.exec(pem)?.[1];
  if (found === undefined) return;
  const wrong = wrongKind(found);
  if (wrong !== undefined) throw new Error(`its key is ${wrong}, and ${RIGHT}`);
}

/** Returns the kind of key if it is not a right one. */
function wrongKind(base64: string): string | undefined {
  try {
    const bytes = Uint8Array.from(atob(base64.replaceAll(/\s/g, "")), (char) => char.charCodeAt(0));
    const [, , , , , key] = signedParts(bytes);
    const [algorithm, value] = within(bytes, key);
    const [kind, parameters] = within(bytes, algorithm);
    const id = objectOf(bytes, kind);
    if (!KINDS.has(id)) return NAMES[id] ?? "of a rare kind";
    if (id === ELLIPTIC) return CURVES.has(objectOf(bytes, parameters)) ? undefined : "on a rare elliptic curve";
    if (id !== RSA) return undefined;
    const bits = bitsOf(bytes, value);
    return bits < LEAST_RSA ? `RSA with ${bits} bits` : undefined;
  } catch {
    // The runtime has words of its own for it.
    return undefined;
  }
}

/** Returns the size of the modulus in an RSA key. */
function bitsOf(bytes: Uint8Array, { tag, from, end }: Element): number {
  // The first byte is the number of bits that are left over, which is 0.
  const [sequence] = within(bytes, { tag, from: from + 1, end });
  const [modulus] = within(bytes, sequence);
  let at = modulus.from;
  while (at < modulus.end && bytes[at] === 0) at++;
  return 8 * (modulus.end - at) - Math.clz32(bytes[at] ?? 0) + 24;
}
