/** Whose key is trusted: keys, functions, stores, and the file of known servers with several writers at once. */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ConfigError, type Endpoint, HandshakeError, type PeerKey, trustOnFirstUse } from "@veltix/core/encryption";
import { spawn } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "../scripts/runtimes.ts";
import { type Ed25519, findEd25519, nobleEd25519 } from "../src/encryption/ed25519.ts";
import { LockLost, whileLocked } from "../src/encryption/file_lock.ts";
import type { ShownIdentity } from "../src/encryption/handshake/payload.ts";
import { KnownHosts } from "../src/encryption/known_hosts.ts";
import { ANY_KEY, readAllow, readTrust, storeOf, type TrustStore, verifyPeer } from "../src/encryption/trust.ts";
import { peerOf, type ShownKey } from "./encryption_peers.ts";
import { inFolder } from "./encryption_support.ts";

const posix = process.platform === "win32" ? it.skip : it;
const HOST = { hostname: "127.0.0.1", port: 8080 };
const MESSAGE = new TextEncoder().encode("this session");
const [a, b, c, d] = [1, 2, 3, 4].map(peerOf);
const textOf = (key: PeerKey): string => key.publicKey;
const texts = (keys: readonly PeerKey[]): string[] => keys.map(textOf);

/** What the handshake makes of shown keys. */
function claims(shown: readonly ShownKey[], ed25519 = findEd25519()): ShownIdentity[] {
  return shown.map(({ key, signature }) => ({
    publicKey: key,
    verify: () => ed25519.verify(signature, MESSAGE, key),
  }));
}

/** What comes of a peer that shows these keys. */
async function judge(trust: TrustStore, shown: readonly ShownKey[], address: Endpoint = HOST): Promise<string[]> {
  return texts(await verifyPeer(trust, claims(shown), address));
}

const refused = async (trust: TrustStore, shown: readonly ShownKey[], why: string): Promise<void> => {
  const error = await assertRejects(async () => await judge(trust, shown), HandshakeError, why);
  assertEquals(error.code, "identity-mismatch");
};

describe("a trusted key", () => {
  it("lets its owner pass, at once, and nobody else", async () => {
    const trust = readTrust(textOf(a.key));
    assertEquals(texts(verifyPeer(trust, claims([a.show(MESSAGE)]), HOST) as PeerKey[]), [textOf(a.key)]);
    await refused(
      trust,
      [b.show(MESSAGE)],
      `Cannot trust 127.0.0.1:8080: it shows ${textOf(b.key)} (${b.key.fingerprint})`,
    );
    await refused(trust, [a.pretend()], "cannot prove that this is its own key");
    await refused(trust, [a.pretend(), b.show(MESSAGE)], "cannot prove");
    await refused(trust, [], "it shows no key");
  });

  it("is one of several, on both sides", async () => {
    const trust = readTrust([textOf(a.key), textOf(b.key)]);
    assertEquals(await judge(trust, [c.show(MESSAGE), b.show(MESSAGE)]), [textOf(b.key)]);
    assertEquals(await judge(trust, [a.pretend(), b.show(MESSAGE)]), [textOf(b.key)]);
    await refused(trust, [c.show(MESSAGE), d.show(MESSAGE)], "is not trusted");
  });

  it("costs no more signatures than are wanted", async () => {
    const verified: Uint8Array[] = [];
    const noble = nobleEd25519();
    const counting: Ed25519 = {
      ...noble,
      verify: (signature, message, key) => verified.push(key) > 0 && noble.verify(signature, message, key),
    };
    const shown = [c, a, d].map((peer) => peer.show(MESSAGE));
    await verifyPeer(readTrust([textOf(a.key), textOf(b.key)]), claims(shown, counting), HOST);
    assertEquals(verified, [a.key.bytes]);
    await assertRejects(async () => await verifyPeer(readTrust(textOf(b.key)), claims(shown, counting), HOST));
    assertEquals(verified.length, 1);
  });

  it("is never what a peer shows that is no key", async () => {
    const bad = [0, 1].map((y) => ({ key: new Uint8Array(32).fill(y, 0, 1), signature: new Uint8Array(64) }));
    const short = { key: new Uint8Array(31).fill(9), signature: new Uint8Array(64) };
    await refused(ANY_KEY, [...bad, short], "it shows no key");
    await refused(readTrust(() => true), bad, "it shows no key");
    assertEquals(await judge(ANY_KEY, [...bad, a.show(MESSAGE)]), [textOf(a.key)]);
    await refused(ANY_KEY, [a.pretend()], "cannot prove");
    await refused(ANY_KEY, [{ ...a.show(MESSAGE), signature: new Uint8Array(63) }], "cannot prove");
  });
});

describe("a function that trusts", () => {
  it("gets the keys and the address, and only true is a yes", async () => {
    const seen: unknown[] = [];
    const trust = readTrust((keys: readonly PeerKey[], address: Endpoint) => seen.push(texts(keys), address) > 0);
    assertEquals(await judge(trust, [a.show(MESSAGE), b.show(MESSAGE)]), [textOf(a.key), textOf(b.key)]);
    assertEquals(seen, [[textOf(a.key), textOf(b.key)], HOST]);
    for (const no of [false, undefined, 1, "yes", {}, Promise.resolve("yes"), Promise.resolve(false)]) {
      await refused(readTrust(() => no), [a.show(MESSAGE)], "is not trusted");
    }
    assertEquals(await judge(readTrust(() => Promise.resolve(true)), [a.show(MESSAGE)]), [textOf(a.key)]);
  });

  it("trusts nobody who lacks one of the keys, as it may have meant that one", async () => {
    await refused(readTrust(() => true), [a.pretend(), b.show(MESSAGE)], "cannot prove");
  });

  it("may throw or reject", async () => {
    const error = new Error("no");
    for (
      const fails of [() => Promise.reject(error), () => {
        throw error;
      }]
    ) {
      assertEquals(await assertRejects(() => judge(readTrust(fails), [a.show(MESSAGE)]), Error), error);
    }
  });
});

describe("readTrust() and readAllow()", () => {
  it("name the option, and what is wrong with it", () => {
    for (const value of [undefined, null, 1, {}, { wanted: 1 }]) {
      assertThrows(
        () => readTrust(value, "encryption.trust"),
        TypeError,
        "encryption.trust must be a public key, a list",
      );
    }
    assertThrows(() => readTrust([]), TypeError, "trust must have a public key, and is an empty list");
    assertThrows(() => readTrust("vx1:x"), TypeError, 'trust must be a public key. Invalid public key "vx1:x"');
    assertThrows(() => readTrust([textOf(a.key), 1]), TypeError, "trust[1] must be a public key");
    assertThrows(() => readAllow([textOf(a.key), "x"]), TypeError, "allow[1] must be a public key");
    for (const value of [undefined, textOf(a.key), () => true]) {
      assertThrows(() => readAllow(value), TypeError, "allow must be a list of public keys");
    }
  });

  it("return what decides", async () => {
    const store: TrustStore = { wanted: () => [] };
    assertEquals(readTrust(store) === store, true);
    assertEquals(await judge(readAllow([textOf(a.key)]), [a.show(MESSAGE)]), [textOf(a.key)]);
    await refused(readAllow([textOf(a.key)]), [b.show(MESSAGE)], "is not trusted");
  });
});

describe("trustOnFirstUse()", () => {
  const meet = (path: string, ...shown: ShownKey[]): Promise<string[]> => judge(trustOnFirstUse(path), shown);
  const linesOf = (path: string): string[] =>
    readFileSync(path, "utf8").split("\n").filter((line) => /^[^#]/.test(line));

  it("keeps the keys of a server that it meets, and only those that are proved", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      assertEquals(await meet(path, a.show(MESSAGE), b.pretend(), a.show(MESSAGE)), [textOf(a.key), textOf(a.key)]);
      assertEquals(linesOf(path), [`127.0.0.1:8080 ${textOf(a.key)}`]);
      assertEquals(await meet(path, a.show(MESSAGE)), [textOf(a.key)]);
      assertEquals(readdirSync(folder), ["known_hosts"]);
      if (process.platform !== "win32") assertEquals(statSync(path).mode & 0o777, 0o600);
    }));

  it("adds a new key that comes beside a known one", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      await meet(path, a.show(MESSAGE));
      await meet(path, b.show(MESSAGE), a.show(MESSAGE));
      assertEquals(linesOf(path), [`127.0.0.1:8080 ${textOf(a.key)} ${textOf(b.key)}`]);
      assertEquals(await meet(path, b.show(MESSAGE)), [textOf(b.key)]);
    }));

  it("refuses another key, and says what ssh says", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      writeFileSync(path, `# mine\n\nlocalhost:1 ${textOf(c.key)}\n127.0.0.1:8080 ${textOf(a.key)}\n`);
      const before = readFileSync(path, "utf8");
      const { code, message } = await assertRejects(() => meet(path, b.show(MESSAGE)), HandshakeError);
      assertEquals(code, "identity-mismatch");
      assertEquals(
        message,
        "Cannot trust 127.0.0.1:8080: its key has changed. Somebody may be in between, listening to all that is sent, " +
          `or the server has a new identity. It was known by ${a.key.fingerprint} (${textOf(a.key)}), and now shows ` +
          `${b.key.fingerprint} (${textOf(b.key)}). If the fingerprint is that of the server, remove line 4 of ` +
          `${JSON.stringify(path)} to meet it anew`,
      );
      assertEquals(readFileSync(path, "utf8"), before);
    }));

  it("refuses who shows a known key without having it, beside one of its own", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      await meet(path, a.show(MESSAGE));
      const before = readFileSync(path, "utf8");
      await refused(trustOnFirstUse(path), [a.pretend(), b.show(MESSAGE)], "its key has changed");
      await refused(trustOnFirstUse(path), [a.pretend()], "cannot prove");
      await refused(trustOnFirstUse(join(folder, "none")), [a.pretend()], "cannot prove");
      assertEquals([readFileSync(path, "utf8"), readdirSync(folder)], [before, ["known_hosts"]]);
    }));

  it("tells servers apart by their address, whatever that is", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      const trust = trustOnFirstUse(path);
      const addresses: [Endpoint, name: string][] = [
        [HOST, "127.0.0.1:8080"],
        [{ hostname: "127.0.0.1", port: 8081 }, "127.0.0.1:8081"],
        [{ hostname: "::1", port: 8080 }, "[::1]:8080"],
        [{ hostname: "Example.ORG", port: 1 }, "example.org:1"],
        [{ hostname: "vx1", port: 8080 }, "vx1:8080"],
        [{ path: "/run/a b#c%20\n" }, "/run/a%20b%23c%2520%0A"],
        [{ path: "127.0.0.1:8080" }, "./127.0.0.1:8080"],
        [{ path: "\0abstract" }, "./%00abstract"],
      ];
      const peers = addresses.map((_, i) => peerOf(100 + i));
      for (const [i, [address]] of addresses.entries()) await judge(trust, [peers[i].show(MESSAGE)], address);
      assertEquals(linesOf(path), addresses.map(([, name], i) => `${name} ${textOf(peers[i].key)}`));
      for (const [i, [address]] of addresses.entries()) await judge(trust, [peers[i].show(MESSAGE)], address);
      await judge(trust, [peers[3].show(MESSAGE)], { hostname: "EXAMPLE.org", port: 1 });
    }));

  it("leaves all else in the file as it is", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      writeFileSync(path, `# mine\n  127.0.0.1:8080   ${textOf(a.key)}  # here\n\nhost:1 ${textOf(c.key)}`, {
        mode: 0o640,
      });
      if (process.platform !== "win32") chmodSync(path, 0o640);
      await meet(path, a.show(MESSAGE), b.show(MESSAGE));
      await judge(trustOnFirstUse(path), [d.show(MESSAGE)], { hostname: "new", port: 2 });
      assertEquals(
        readFileSync(path, "utf8"),
        `# mine\n  127.0.0.1:8080   ${textOf(a.key)} ${textOf(b.key)}  # here\n\nhost:1 ${textOf(c.key)}\nnew:2 ${
          textOf(d.key)
        }\n`,
      );
      if (process.platform !== "win32") assertEquals(statSync(path).mode & 0o777, 0o640);
    }));

  posix("leaves a link to the file as it is", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      writeFileSync(path, "");
      symlinkSync(path, join(folder, "link"));
      await meet(join(folder, "link"), a.show(MESSAGE));
      assertEquals(linesOf(path).length, 1);
      assertEquals(readdirSync(folder), ["known_hosts", "link"]);
    }));

  it("knows the keys of all lines of a server, and of lines from Windows", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      writeFileSync(path, `127.0.0.1:8080 ${textOf(a.key)} # one\r\n127.0.0.1:8080 ${textOf(b.key)}\r\n`);
      for (const peer of [a, b]) assertEquals(await meet(path, peer.show(MESSAGE)), [textOf(peer.key)]);
      await refused(trustOnFirstUse(path), [c.show(MESSAGE)], "remove lines 1, 2 of");
      await meet(path, a.show(MESSAGE), d.show(MESSAGE));
      assertEquals(linesOf(path)[0], `127.0.0.1:8080 ${textOf(a.key)} ${textOf(d.key)} # one\r`);
    }));

  it("fails at a damaged file, with the line, and does not touch it", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      const cases: [line: string, why: string][] = [
        ["127.0.0.1:8080", 'line 3 has no key for "127.0.0.1:8080"'],
        ["other:1 # vx1:x", 'line 3 has no key for "other:1"'],
        [textOf(a.key), "line 3 starts with a key"],
        [`other:1 ${textOf(a.key)} ${textOf(b.key).slice(0, -1)}`, 'line 3 has no good key. Invalid public key "vx1:'],
        ["other:1 ssh-ed25519", "line 3 has no good key. Invalid public key: it does not start with vx1:"],
      ];
      for (const [line, why] of cases) {
        const text = `# mine\n127.0.0.1:8080 ${textOf(a.key)}\n${line}\n`;
        writeFileSync(path, text);
        const error = await assertRejects(() => meet(path, a.show(MESSAGE)), ConfigError, why);
        assertEquals([error.code, error.message.startsWith("Cannot read the known hosts in ")], [
          "invalid-config",
          true,
        ]);
        assertEquals(readFileSync(path, "utf8"), text);
      }
    }));

  it("fails where it cannot read or write, and trusts nobody then", () =>
    inFolder(async (folder) => {
      mkdirSync(join(folder, "folder"));
      const reading = await assertRejects(() => meet(join(folder, "folder"), a.show(MESSAGE)), ConfigError);
      assertMatch(reading.message, /^Cannot read the known hosts in /);
      const writing = await assertRejects(() => meet(join(folder, "no", "known"), a.show(MESSAGE)), ConfigError);
      assertMatch(writing.message, /^Cannot keep the key of 127\.0\.0\.1:8080 in .*: /);
      assertEquals([reading.code, writing.code], ["invalid-config", "invalid-config"]);
      assertThrows(() => trustOnFirstUse(""), TypeError, "path must be a non-empty string");
    }));
});

describe("several writers of one file of known servers", () => {
  const file = join(ROOT, "tests", "encryption_writer.ts");
  const expected = (count: number): string[] =>
    Array.from({ length: count }, (_, i) => `host:${i + 1} ${textOf(peerOf(i + 1).key)}`).sort();
  const linesOf = (path: string): string[] =>
    readFileSync(path, "utf8").split("\n").filter((line) => /^[^#]/.test(line)).sort();

  it("lose nothing in one program", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      await Promise.all(Array.from({ length: 40 }, (_, i) =>
        judge(trustOnFirstUse(path), [peerOf(i + 1).show(MESSAGE)], { hostname: "host", port: i + 1 })));
      assertEquals(linesOf(path), expected(40));
      assertEquals(readdirSync(folder), ["known_hosts"]);
    }));

  it("trust one of those who come first at once with different keys", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      const results = await Promise.allSettled(
        [a, b, c].map((peer) => judge(trustOnFirstUse(path), [peer.show(MESSAGE)])),
      );
      assertEquals(results.map(({ status }) => status).sort(), ["fulfilled", "rejected", "rejected"]);
      for (const result of results) {
        if (result.status === "rejected") assertEquals(result.reason.code, "identity-mismatch");
      }
      assertEquals(linesOf(path).length, 1);
    }));

  it("lose nothing in several processes", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      const flags = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
      const run = (first: number): Promise<number | null> =>
        new Promise((resolve, reject) => {
          const args = [...flags, file, path, String(first), "20"];
          const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"] });
          child.on("error", reject);
          child.on("close", resolve);
        });
      assertEquals(await Promise.all([run(1), run(21)]), [0, 0]);
      assertEquals(linesOf(path), expected(40));
      assertEquals(readdirSync(folder), ["known_hosts"]);
    }));

  it("take over the lock that a dead one left, one at a time, whatever its age", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      writeFileSync(`${path}.lock`, "of a dead one");
      utimesSync(`${path}.lock`, 1, 1);
      writeFileSync(`${path}.lock.break`, "of one that died while it took over");
      const write = (i: number): Promise<string[]> =>
        judge(storeOf(new KnownHosts(path, { stale: 60, patience: 50_000 })), [peerOf(i).show(MESSAGE)], {
          hostname: "host",
          port: i,
        });
      await Promise.all(Array.from({ length: 10 }, (_, i) => write(i + 1)));
      assertEquals(linesOf(path), expected(10));
      assertEquals(readdirSync(folder), ["known_hosts"]);
    }));

  it("start anew when somebody took over their lock", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      const held: boolean[] = [];
      const result = await whileLocked(path, "Cannot write", (isHeld) => {
        if (held.length === 0) writeFileSync(`${path}.lock`, "of another one");
        held.push(isHeld());
        if (!isHeld()) throw new LockLost();
        return "written";
      }, { stale: 40, patience: 50_000 });
      assertEquals([result, held, readdirSync(folder)], ["written", [false, true], []]);
    }));

  it("give up on a lock that others keep, and write nothing", () =>
    inFolder(async (folder) => {
      const path = join(folder, "known_hosts");
      writeFileSync(`${path}.lock`, "of a busy one");
      const hosts = storeOf(new KnownHosts(path, { stale: Infinity, patience: 30 }));
      const error = await assertRejects(() => judge(hosts, [a.show(MESSAGE)]), ConfigError, "somebody else keeps");
      assert(error.message.includes("known_hosts.lock"));
      assertEquals([existsSync(path), readFileSync(`${path}.lock`, "utf8")], [false, "of a busy one"]);
    }));
});
