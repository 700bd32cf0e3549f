/**
 * Which endpoints count as being on this machine. Credentials are sent in plain only there.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { isLocal } from "../src/base/address.ts";

describe("an endpoint", () => {
  it("is on this machine if it is a path or a loopback address", () => {
    for (const path of ["/run/veltix.sock", "veltix.sock", "//run/veltix.sock"]) {
      assertEquals(isLocal({ path }, false), true, path);
    }
    for (const hostname of ["localhost", "app.localhost", "127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"]) {
      assertEquals(isLocal({ hostname, port: 1 }), true, hostname);
    }
    for (const hostname of ["example.org", "192.0.2.1", "127.0.0.1.example.org", "127.999.1.1", "::2"]) {
      assertEquals(isLocal({ hostname, port: 1 }), false, hostname);
    }
  });

  it("on Windows is elsewhere if its path names another machine", () => {
    for (const path of [String.raw`\\.\pipe\veltix`, String.raw`\\?\pipe\veltix`, "//./pipe/veltix", "veltix"]) {
      assertEquals(isLocal({ path }, true), true, path);
    }
    const elsewhere = [
      String.raw`\\server\pipe\veltix`,
      "//server/pipe/veltix",
      String.raw`\\?\UNC\server\pipe\veltix`,
      String.raw`\\.\UNC\server\pipe\veltix`,
    ];
    for (const path of elsewhere) assertEquals(isLocal({ path }, true), false, path);
  });
});
