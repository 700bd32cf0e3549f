/**
 * Python's releases still make the frames that `tests/vectors` has of them. The newest of each handshake kind is tried here,
 * all of them by the suite in `tests/interop`. What Python makes is no matter of our runtime: they share the releases.
 *
 * @module
 */

import { describe, it } from "@std/testing/bdd";
import { compareGolden } from "./interop/golden.ts";
import { problemOf } from "./interop/install.ts";
import { isMine } from "./wire_support.ts";

const RELEASES = ["1.3.0", "1.7.5", "2.0.3", "3.3.0"];
/** It has no file of its own: 1.6.3 has the same framing. */
const NAMELESS = "1.6.6";
const problem = await problemOf([...RELEASES, NAMELESS]);

describe("golden frames", () => {
  const test = problem === undefined ? it : it.skip;
  const why = problem === undefined ? "" : `: ${problem}`;

  for (const [i, release] of RELEASES.entries()) {
    if (!isMine(i)) continue;
    test(`are what Python's veltix ${release} makes, byte by byte${why}`, () => compareGolden(release));
  }

  if (!isMine(RELEASES.length)) return;
  test(`of ${NAMELESS} are those of another release with the same framing${why}`, () => compareGolden(NAMELESS));
});
