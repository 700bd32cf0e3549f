/**
 * The notation of a peer's IP address. That the sockets of each runtime have it is in the conformance tests.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { plainIp } from "../src/adapters/endpoint.ts";

describe("the IP address of a peer", () => {
  it("is an IPv4 address where it is one in an IPv6 address's clothes, and stays as it is otherwise", () => {
    for (const ip of ["::ffff:192.0.2.1", "::FFFF:192.0.2.1", "::ffff:c000:201", "::FFFF:C000:0201"]) {
      assertEquals(plainIp(ip), "192.0.2.1");
    }
    const others = [
      "192.0.2.1",
      "",
      "::",
      "::1",
      "fe80::1%eth0",
      "::192.0.2.1",
      "64:ff9b::192.0.2.1",
      "2001:db8::ffff:1:2",
    ];
    for (const ip of [...others, "::ffff:0:192.0.2.1", "::ffff:1", "::ffff:1:2:3", "::ffff:192.0.2.1 "]) {
      assertEquals(plainIp(ip), ip);
    }
  });
});
