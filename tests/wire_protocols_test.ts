import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { isNative, parseRelease, protocol } from "../src/wire/protocols.ts";
import { acceptsRelease } from "../src/wire/python/accepted_releases.ts";

describe("protocol()", () => {
  it("knows every release and what it frames like", () => {
    const rows: [string[], number, string, string, string][] = [
      [["1.2", "1.2.0", "1.2.1", "1.3", "1.3.0"], 62, "sha256", "none", "uuid"],
      [["1.4", "1.4.0", "1.5", "1.5.2", "1.6.0", "1.6.1"], 62, "sha256", "hello", "uuid"],
      [["1.6.2", "1.6.3", "1.6.5", "1.6.6", "1.6.8", "1.6.9"], 22, "crc32", "hello", "u32"],
      [["1.6.10"], 14, "crc32", "hello", "u32"],
      [["1.7", "1.7.0", "1.7.5"], 16, "crc32", "hello", "u32"],
      [["1.8", "1.8.0", "1.8.1", "1.9", "1.9.0"], 16, "crc32", "json", "u32"],
      [["2.0", "2.0.0", "2.0.0b3", "2.0.1rc1", "2.0.3"], 15, "crc32", "json", "u16"],
      [["3", "3.0", "3.0.0", "3.1", "3.1.1", "3.2", "3.3", "3.3.0", "3.3.0b1", "3.4.0"], 15, "crc32", "json", "u16"],
      [["native"], 16, "crc8+crc32", "json", "u32"],
    ];
    for (const [releases, headerSize, integrity, handshake, ids] of rows) {
      for (const release of releases) {
        const found = protocol(release);
        assertEquals(
          [found.name, found.headerSize, found.integrity, found.handshake, found.ids],
          [release, headerSize, integrity, handshake, ids],
        );
        assertEquals(found.magic, headerSize < 17 && headerSize > 14 && release !== "native" ? "VX" : undefined);
        assertEquals(isNative(found), release === "native");
        assertEquals(found.maxFrameSize, release.startsWith("1.2") ? 1024 : undefined);
      }
    }
    assertStrictEquals(protocol("native"), protocol("native"));
  });

  it("announces plain numbers, a suffix from 2.0 on only, and 1.6.4 for 1.6.5", () => {
    const announced = {
      "1.6.3": "1.6.3",
      "1.6.3b1": "1.6.3",
      "1.6.5": "1.6.4",
      "1.7": "1.7.0",
      "1.9": "1.9.0",
      "2.0": "2.0.0",
      "2.0.0b3": "2.0.0b3",
      "3": "3.3.0",
      "3.0": "3.0.2",
      "3.1": "3.1.1",
      "3.2": "3.2.1",
      "3.3": "3.3.0",
      "3.3.0rc1": "3.3.0rc1",
      "native": "",
    };
    for (const [name, release] of Object.entries(announced)) assertEquals(protocol(name).release, release);
  });

  it("refuses what no release is called", () => {
    for (
      const name of [
        "",
        "1.6",
        "1.1.0",
        "1.10.0",
        "2.1.0",
        "2.1",
        "3.4",
        "4",
        "4.0.0",
        "1.6.3.1",
        "v1.6.3",
        " 1.6.3",
        "1.06.3",
        "1.6.3x",
      ]
    ) {
      assertThrows(() => protocol(name), RangeError, `Cannot find the protocol "${name}"`);
    }
    assertThrows(() => protocol("2.1"), RangeError, 'a release from "1.2.0" to "3.3.0" with all three numbers');
    assertThrows(() => protocol("2.1"), RangeError, '"2.0", "3", "3.0", "3.1", "3.2", "3.3"');
    for (const name of ["constructor", "__proto__", "toString"]) assertThrows(() => protocol(name), RangeError);
  });
});

describe("parseRelease()", () => {
  it("reads three numbers and cuts a pre-release suffix", () => {
    assertEquals(parseRelease("1.6.10"), [1, 6, 10]);
    assertEquals(parseRelease("2.0.0b3"), [2, 0, 0]);
    for (const text of ["", "1.6", "1.6.", "1.6.x", "1.6.3-b1", "1.6.3b", "99999.0.0", "1.6.3\n"]) {
      assertEquals(parseRelease(text), undefined, text);
    }
  });
});

describe("acceptsRelease()", () => {
  const RELEASES = [
    ...["1.6.6", "1.6.8", "1.6.9", "1.6.10", "1.7.0", "1.7.1", "1.7.2", "1.7.3", "1.7.4", "1.7.5"],
    ...["1.8.0", "1.8.1", "1.9.0", "2.0.0"],
  ];
  /** Local release ← accepted peers. */
  const TABLE: Record<string, string[]> = {
    "1.6.8": ["1.6.6", "1.6.8"],
    "1.6.9": ["1.6.6", "1.6.8", "1.6.9"],
    "1.7.1": ["1.7.0", "1.7.1"],
    "1.7.2": ["1.7.0", "1.7.1", "1.7.2"],
    "1.7.3": [],
    "1.7.4": [],
    "1.7.5": ["1.7.0", "1.7.1", "1.7.2", "1.7.5"],
  };

  it("is the table of the releases from 1.6.6 on", () => {
    for (const local of RELEASES) {
      assertEquals(RELEASES.filter((peer) => acceptsRelease(local, peer)), TABLE[local] ?? [local], local);
    }
  });

  it("compares major and minor up to 1.6.1", () => {
    for (const local of ["1.4.0", "1.5.1", "1.6.0", "1.6.1"]) {
      const family = local.slice(0, 3);
      for (const peer of ["1.4.0", "1.4.9", "1.5.0", "1.6.0", "1.6.1", "1.6.9"]) {
        assertEquals(acceptsRelease(local, peer), peer.startsWith(family), `${local} ${peer}`);
      }
    }
  });

  it("compares all three numbers from 1.6.2 to 1.6.5, which calls itself 1.6.4", () => {
    const peers = ["1.6.2", "1.6.3", "1.6.4", "1.6.5", "1.6.6"];
    for (const local of ["1.6.2", "1.6.3", "1.6.4"]) {
      assertEquals(peers.filter((peer) => acceptsRelease(local, peer)), [local]);
    }
    assertEquals(peers.filter((peer) => acceptsRelease("1.6.5", peer)), ["1.6.4"]);
  });

  const TWO_AND_THREE = ["2.0.0", "2.0.1", "2.0.2", "2.0.3", "3.0.0", "3.0.1", "3.2.0", "3.3.0"];

  it("is a table of its own from 2.0.0 to 2.0.2, whatever the version of the protocol", () => {
    const table = { "2.0.0": ["2.0.0"], "2.0.1": ["2.0.0", "2.0.1"], "2.0.2": ["2.0.0", "2.0.1", "2.0.2"] };
    for (const [local, peers] of Object.entries(table)) {
      for (const version of [undefined, "1.0", "2.0"]) {
        assertEquals(TWO_AND_THREE.filter((peer) => acceptsRelease(local, peer, version)), peers, local);
      }
    }
  });

  it("compares the version of the protocol from 2.0.3 on, whatever the release", () => {
    for (const local of TWO_AND_THREE.slice(3)) {
      for (const peer of [...TWO_AND_THREE, "1.9.0", "4.0.0", "0.0.0.dev", "", "x"]) {
        for (const version of ["1.0", "1.1", "1.9", "1.10"]) assert(acceptsRelease(local, peer, version));
        for (const version of [undefined, "2.0", "0.9", "10.0", "1", "1.", "1.0b1", "1.0.0", "", "1.0\n", "(number)"]) {
          assert(!acceptsRelease(local, peer, version), `${local} ${peer} ${version}`);
        }
      }
    }
  });

  it("cuts a suffix in 2.0 and refuses it before", () => {
    assert(acceptsRelease("2.0.0", "2.0.0b3"));
    assert(acceptsRelease("2.0.0b3", "2.0.0"));
    assert(acceptsRelease("2.0.0b3", "2.0.0rc1"));
    assert(!acceptsRelease("2.0.0", "2.0.1"));
    for (const local of ["1.4.0", "1.6.3", "1.8.0", "1.9.0"]) assert(!acceptsRelease(local, `${local}b1`));
    for (const peer of ["", "x", "2.0", "2.0.0-1"]) assert(!acceptsRelease("2.0.0", peer));
  });
});
