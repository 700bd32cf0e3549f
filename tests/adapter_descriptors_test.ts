/** How many files and sockets a process may have open, as the adapters find it out. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import process from "node:process";
import { descriptorLimit, softLimit } from "../src/adapters/descriptors.ts";
import { realTransport } from "./session_support.ts";

const limits = (line: string): string =>
  `Limit                     Soft Limit           Hard Limit           Units     \n` +
  `Max cpu time              unlimited            unlimited            seconds   \n${line}\n` +
  `Max locked memory         8388608              8388608              bytes     \n`;

describe("the limit of files and sockets", () => {
  it("is the one in force, not the one it may be raised to", () => {
    assertEquals(
      softLimit(limits("Max open files            1024                 1048576              files     ")),
      1024,
    );
  });

  it("is not known where there is none, or where the system says something else", () => {
    assertEquals(
      softLimit(limits("Max open files            unlimited            unlimited            files     ")),
      undefined,
    );
    for (const text of ["", "Max open files", "Max open files            many", "x\u0000"]) {
      assertEquals(softLimit(text), undefined);
    }
  });

  it("is told by the sockets of this runtime, on Linux", async () => {
    const { descriptors } = await realTransport();
    const limit = await descriptors!();
    assertEquals(limit, await descriptorLimit());
    assert(process.platform === "linux" ? limit! >= 64 : limit === undefined, `${limit}`);
  });
});
