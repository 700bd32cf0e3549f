/**
 * Compares the frames that installed Python releases make with the golden ones in `tests/vectors`.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { promisify } from "node:util";
import { ROOT } from "../../scripts/runtimes.ts";
import { protocol } from "../../src/wire/protocols.ts";
import { loadVectors, type Vectors } from "../wire_support.ts";
import { install, PYTHON } from "./install.ts";

/** How long a release may take to make its frames, in milliseconds. */
const LIMIT = 30_000;

/** What an installed release makes, as `scripts/golden_frames.py` prints it. */
export async function goldenFrames(release: string): Promise<string> {
  const { stdout } = await promisify(execFile)(PYTHON, [`${ROOT}scripts/golden_frames.py`], {
    timeout: LIMIT,
    encoding: "utf8",
    env: { ...process.env, PYTHONPATH: await install(release) },
  });
  return stdout;
}

/**
 * Compares what a release makes with the committed file of its name, byte by byte. A release without one must make the same
 * frames as one of the same wire protocol that has; the handshakes of the two may differ.
 *
 * @param release Such as `"1.6.3"`; it is installed where it is missing.
 * @throws {AssertionError} They differ.
 */
export async function compareGolden(release: string): Promise<void> {
  const text = (await goldenFrames(release)).replaceAll("\r\n", "\n");
  const made = JSON.parse(text) as Vectors;
  const file = `tests/vectors/${made.release}.json`;
  if (existsSync(ROOT + file)) {
    assertEquals(text, readFileSync(ROOT + file, "utf8").replaceAll("\r\n", "\n"), `${release} differs from ${file}`);
  } else {
    const golden = loadVectors().find((vectors) => framing(vectors) === framing(made));
    if (golden === undefined) {
      throw new Error(`Cannot compare ${release}: ${file} is missing, and no other is of its row`);
    }
    assertEquals(made.frames, golden.frames, `${release} differs from tests/vectors/${golden.release}.json`);
  }
}

/** Tells framings apart. */
function framing({ release }: Vectors): string {
  const { layout, integrity, ids } = protocol(release);
  return JSON.stringify([layout, integrity, ids]);
}
