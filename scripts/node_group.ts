/**
 * Loads the test files of a group into one process of Node, which runs none of their tests before the last is loaded. When
 * Node is given the files themselves, an error of one while it loads goes unnoticed; here it is a test that fails.
 *
 * @module
 */
import process from "node:process";
import { it } from "node:test";

for (const file of (process.env.VELTIX_TEST_GROUP ?? "").split(" ")) {
  try {
    await import(new URL(`../${file}`, import.meta.url).href);
  } catch (error) {
    it(`${file}: loads`, () => {
      throw error;
    });
  }
}
