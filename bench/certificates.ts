/**
 * The certificates and identities of the tests, with which protected connections are measured.
 *
 * @module
 */

import { readFileSync } from "node:fs";

/** The text of one of the files in `tests/certificates`. */
export function certificate(name: string): string {
  return readFileSync(new URL(`../tests/certificates/${name}`, import.meta.url), "utf8");
}
