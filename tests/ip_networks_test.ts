/** IP addresses and networks as bytes. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { inNetwork, ipText, parseIp, parseIpNetwork, parseIpv4, parseIpv6 } from "../src/base/ip_networks.ts";

const hex = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

describe("an IP address", () => {
  it("is read in every notation, and written in its shortest", () => {
    const cases: [text: string, bytes: string, shortest: string][] = [
      ["0.0.0.0", "00000000", "0.0.0.0"],
      ["192.0.2.255", "c00002ff", "192.0.2.255"],
      ["::", "00000000000000000000000000000000", "::"],
      ["::1", "00000000000000000000000000000001", "::1"],
      ["1::", "00010000000000000000000000000000", "1::"],
      ["2001:DB8:0:0:1:0:0:1", "20010db8000000000001000000000001", "2001:db8::1:0:0:1"],
      ["2001:db8:1:2:3:4:5:6", "20010db8000100020003000400050006", "2001:db8:1:2:3:4:5:6"],
      ["1:2:3:4:5:6:7::", "00010002000300040005000600070000", "1:2:3:4:5:6:7:0"],
      ["::ffff:192.0.2.1", "c0000201", "192.0.2.1"],
      ["::FFFF:c000:201", "c0000201", "192.0.2.1"],
      ["0:0:0:0:0:ffff:1.2.3.4", "01020304", "1.2.3.4"],
      ["64:ff9b::192.0.2.33", "0064ff9b0000000000000000c0000221", "64:ff9b::c000:221"],
    ];
    for (const [text, bytes, shortest] of cases) {
      const parsed = parseIp(text);
      assertEquals([hex(parsed), parsed && ipText(parsed)], [bytes, shortest], text);
    }
  });

  it("is written as the IPv4 address that it is, from its 16 bytes, too", () => {
    const bytes = parseIpv6("::ffff:10.1.2.3")!;
    assertEquals([bytes.length, ipText(bytes)], [16, "10.1.2.3"]);
  });

  it("is none in any other form", () => {
    const wrong = ["", "1", "127.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "1.2.3.-1", "1.2.3.4 ", " 1.2.3.4"];
    wrong.push("1.2.3.0x4", "1.2.3.", "localhost", "1.2.3.4:80", "0x7f000001", "2130706433");
    for (const text of wrong) assertEquals([parseIp(text), parseIpv4(text)], [undefined, undefined], text);
    const wrong6 = [":", ":::", "1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "1::2::3"];
    wrong6.push(
      "::12345",
      "::g",
      "[::1]",
      "::1%eth0",
      "1.2.3.4::",
      "::1.2.3",
      "::1.2.3.4.5",
      "::01.2.3.4",
      "::1.2.3.4:5",
    );
    wrong6.push("1:2:3:4:5:6:7:1.2.3.4", "::1 ", "1:2:3:4:5:6:7:", ":2:3:4:5:6:7:8");
    for (const text of wrong6) assertEquals([parseIp(text), parseIpv6(text)], [undefined, undefined], text);
    assertEquals([parseIpv4("::1"), parseIpv6("1.2.3.4")], [undefined, undefined]);
  });
});

describe("a network", () => {
  it("has the addresses whose first bits are its own", () => {
    const cases: [network: string, inside: string[], outside: string[]][] = [
      ["192.0.2.1", ["192.0.2.1", "::ffff:192.0.2.1"], ["192.0.2.0", "192.0.2.3", "::1"]],
      ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255"], ["11.0.0.0", "9.255.255.255", "a00::"]],
      ["10.9.8.7/8", ["10.0.0.0"], ["11.0.0.0"]],
      ["192.168.4.0/22", ["192.168.4.0", "192.168.7.255"], ["192.168.3.255", "192.168.8.0"]],
      ["192.0.2.128/25", ["192.0.2.128", "192.0.2.255"], ["192.0.2.127"]],
      ["192.0.2.2/31", ["192.0.2.2", "192.0.2.3"], ["192.0.2.1", "192.0.2.4"]],
      ["0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::", "::1"]],
      ["::/0", ["::1", "ffff::"], ["1.2.3.4", "::ffff:1.2.3.4"]],
      ["2001:db8::/33", ["2001:db8:7fff::1"], ["2001:db8:8000::", "2001:db9::"]],
      ["::1", ["::1"], ["::", "127.0.0.1"]],
      ["::ffff:10.0.0.0/104", ["10.1.2.3"], ["11.1.2.3"]],
    ];
    for (const [text, inside, outside] of cases) {
      const network = parseIpNetwork(text)!;
      for (const ip of inside) assertEquals(inNetwork(network, parseIp(ip)!), true, `${text} has ${ip}`);
      for (const ip of outside) assertEquals(inNetwork(network, parseIp(ip)!), false, `${text} has not ${ip}`);
    }
  });

  it("is none with another length, or without an address", () => {
    const wrong = ["", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/8 ", "10.0.0.0/1e1"];
    wrong.push("::/129", "10/8", "::ffff:10.0.0.0/95", "localhost", "*", "10.0.0.*", "::1%lo");
    for (const text of wrong) assertEquals(parseIpNetwork(text), undefined, text);
  });
});
