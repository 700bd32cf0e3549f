/** Identities: their keys, their files, and that nothing that prints shows the secret. */

import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ConfigError, Identity, parsePublicKey } from "@veltix/core/encryption";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { inspect } from "node:util";
import { ROOT } from "../scripts/runtimes.ts";
import { nobleEd25519 } from "../src/encryption/ed25519.ts";
import { PeerKey } from "../src/encryption/public_key.ts";
import { bytesOf, hexOf, inFolder } from "./encryption_support.ts";

/** RFC 8410, section 10.3. */
const PEM = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
`;
const SEED = "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842";
const PUBLIC = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";

const posix = process.platform === "win32" ? it.skip : it;

/** The ways in which a secret could be in a text. */
function secretsOf(pem: string): string[] {
  const base64 = pem.split("\n")[1];
  const seed = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).subarray(16);
  return [base64.slice(24), hexOf(seed), [...seed].join(","), [...seed].join(", "), hexOf(seed).slice(0, 16)];
}

describe("an Identity", () => {
  it("is made anew each time, and signs for its public key", async () => {
    const [a, b] = [await Identity.generate(), await Identity.generate()];
    assertNotEquals(a.publicKey, b.publicKey);
    assertMatch(a.publicKey, /^vx1:[\w-]{43}$/);
    assertMatch(a.fingerprint, /^([A-Z2-7]{4}-){3}[A-Z2-7]{4}$/);
    const message = Uint8Array.of(1, 2, 3);
    const { verify } = nobleEd25519();
    assert(verify(Identity.signerOf(a).sign(message), message, parsePublicKey(a.publicKey).bytes));
    assert(!verify(Identity.signerOf(a).sign(message), message, parsePublicKey(b.publicKey).bytes));
  });

  it("goes through its exported key, which is PKCS#8 as RFC 8410 shows it", async () => {
    const identity = await Identity.importKey(PEM);
    assertEquals(hexOf(parsePublicKey(identity.publicKey).bytes), PUBLIC);
    assertEquals(identity.exportKey(), PEM);
    assertEquals((await Identity.importKey(`a comment\r\n${PEM.replaceAll("\n", "\r\n")}`)).exportKey(), PEM);
  });

  it("cannot be constructed", () => {
    const Any = Identity as unknown as new (seed?: unknown) => Identity;
    for (const seed of [undefined, "a".repeat(32), new Uint8Array(31)]) {
      assertThrows(() => new Any(seed), TypeError, "Identity.generate()");
    }
  });

  it("shows its public key and no secret, whatever prints it", async () => {
    const identity = await Identity.importKey(PEM);
    const shown = `Identity(${identity.publicKey})`;
    assertEquals([`${identity}`, String(identity), identity + ""], [shown, shown, shown]);
    assertEquals(JSON.stringify({ identity }), JSON.stringify({ identity: shown }));
    assertEquals(inspect(identity), shown);
    assertEquals(inspect({ deep: [identity] }, { depth: 9, showHidden: true, getters: true }).includes(shown), true);
    const { Deno, Bun } = globalThis as { Deno?: { inspect(value: unknown): string }; Bun?: { inspect: Deno } };
    type Deno = (value: unknown) => string;
    if (Deno !== undefined) assertEquals(Deno.inspect(identity), shown);
    if (Bun !== undefined) assertEquals(Bun.inspect(identity), shown);

    assertEquals(structuredClone(identity) as unknown, {});
    assertEquals([Object.keys(identity), Object.getOwnPropertyNames(identity)], [[], []]);
    assertEquals([Object.getOwnPropertySymbols(identity), JSON.stringify({ ...identity })], [[], "{}"]);
    const error = new Error(`no ${identity}`, { cause: identity });
    const texts = [
      inspect(identity, { showHidden: true, customInspect: false, depth: 9 }),
      inspect(error, { showHidden: true }),
      inspect(new Map([[identity, identity]]), { showHidden: true }),
      ...(Deno === undefined ? [] : [Deno.inspect(error), Deno.inspect({ a: { b: identity } })]),
      ...(Bun === undefined ? [] : [Bun.inspect(error), Bun.inspect({ a: { b: identity } })]),
      String(error.stack),
    ];
    for (const text of texts) for (const secret of secretsOf(PEM)) assert(!text.includes(secret), text);
  });

  it("shows no secret on the console", () => {
    const script = join(ROOT, "tests", "encryption_console.ts");
    const flags = "Deno" in globalThis ? ["run", "-A", "-q", "--no-check"] : [];
    const { status, stdout, stderr } = spawnSync(process.execPath, [...flags, script], {
      cwd: ROOT,
      encoding: "utf8",
      timeout: 50_000,
      env: { ...process.env, NO_COLOR: "1" },
      input: PEM,
    });
    assertEquals(status, 0, stderr);
    const shown = `Identity(${new PeerKey(bytesOf(PUBLIC)).publicKey})`;
    assertEquals(stdout.split(shown).length, 6, stdout);
    for (const secret of secretsOf(PEM)) assert(!(stdout + stderr).includes(secret), stdout + stderr);
  });
});

describe("the file of an Identity", () => {
  it("has the key, in a form that node:crypto reads", () =>
    inFolder(async (folder) => {
      const path = join(folder, "identity.pem");
      const identity = await Identity.generate();
      await identity.save(path);
      assertEquals(readFileSync(path, "utf8"), identity.exportKey());
      assertEquals((await Identity.load(path)).publicKey, identity.publicKey);
    }));

  posix("is for its owner alone", () =>
    inFolder(async (folder) => {
      const path = join(folder, "identity.pem");
      await (await Identity.generate()).save(path);
      assertEquals(statSync(path).mode & 0o777, 0o600);
    }));

  posix("is refused when others may access it, with the command that changes that", () =>
    inFolder(async (folder) => {
      const path = join(folder, "identity.pem");
      await (await Identity.importKey(PEM)).save(path);
      for (const mode of [0o640, 0o604, 0o660, 0o602, 0o610, 0o777]) {
        chmodSync(path, mode);
        const { code, message } = await assertRejects(() => Identity.load(path), ConfigError);
        assertEquals(code, "invalid-config");
        assert(message.includes(`(mode 0${mode.toString(8)})`) && message.includes(`chmod 600 "${path}"`), message);
      }
      for (const mode of [0o600, 0o400]) {
        chmodSync(path, mode);
        assertEquals((await Identity.load(path)).exportKey(), PEM);
      }
    }));

  it("is not overwritten", () =>
    inFolder(async (folder) => {
      const path = join(folder, "identity.pem");
      writeFileSync(path, "something else");
      const identity = await Identity.generate();
      const { code } = await assertRejects(() => identity.save(path), ConfigError, "is not overwritten");
      assertEquals([code, readFileSync(path, "utf8")], ["invalid-config", "something else"]);
    }));

  it("fails clearly when it is missing, a folder, or cannot be made", () =>
    inFolder(async (folder) => {
      const identity = await Identity.generate();
      mkdirSync(join(folder, "folder"), { mode: 0o700 });
      for (const name of ["missing", "folder"]) {
        const error = await assertRejects(() => Identity.load(join(folder, name)), ConfigError, join(folder, name));
        assertEquals(error.code, "invalid-config");
      }
      const path = join(folder, "missing", "identity.pem");
      assertEquals((await assertRejects(() => identity.save(path), ConfigError, path)).code, "invalid-config");
      await assertRejects(() => identity.save(""), TypeError, "path must be a non-empty string");
      await assertRejects(() => Identity.load(undefined as unknown as string), TypeError, "path");
    }));

  it("says what is wrong with its text, and has none of it in the message", () =>
    inFolder(async (folder) => {
      const body = PEM.split("\n")[1];
      const pem = (text: string, kind = "PRIVATE KEY"): string =>
        `-----BEGIN ${kind}-----\n${text}\n-----END ${kind}-----\n`;
      const cases: [text: string, why: string][] = [
        ["", "holds no key in the form PEM"],
        [body, "holds no key in the form PEM"],
        [PEM + PEM, "more than one key"],
        [pem(body, "ENCRYPTED PRIVATE KEY"), "password"],
        [pem(body, "RSA PRIVATE KEY"), "a rsa private key"],
        [pem(body, "PUBLIC KEY"), "a public key"],
        [PEM.slice(0, 60), "cut off"],
        [PEM.replace("-----END", "--END"), "cut off"],
        [pem(body.slice(0, -3)), "damaged"],
        [pem(body.slice(0, -4)), "damaged, or no Ed25519 key"],
        [pem(body.replace("MC4C", "MC4D")), "damaged, or no Ed25519 key"],
        [pem(body.replace("K2Vw", "K2Vu")), "damaged, or no Ed25519 key"],
        [pem(`${body}*`), "damaged"],
      ];
      for (const [i, [text, why]] of cases.entries()) {
        const path = join(folder, `${i}.pem`);
        writeFileSync(path, text, { mode: 0o600 });
        for (const read of [() => Identity.load(path), () => Identity.importKey(text)]) {
          const error = await assertRejects(read, ConfigError, why);
          assertEquals(error.code, "invalid-config");
          const whole = inspect(error, { showHidden: true, depth: 9 });
          assert(!whole.includes(body.slice(24, 40)) && !whole.includes(SEED), whole);
        }
      }
      const path = join(folder, "large.pem");
      writeFileSync(path, PEM.padEnd(100_000), { mode: 0o600 });
      await assertRejects(() => Identity.load(path), ConfigError, "too many for a key");
    }));

  it("is `unsupported` where there are no files", async () => {
    const runtime = globalThis.process;
    const get = runtime.getBuiltinModule;
    const identity = await Identity.generate();
    try {
      runtime.getBuiltinModule = undefined as unknown as typeof get;
      assertEquals((await assertRejects(() => identity.save("x"), ConfigError, "no files")).code, "unsupported");
      assertEquals((await assertRejects(() => Identity.load("x"), ConfigError, "no files")).code, "unsupported");
      assertEquals((await Identity.importKey(identity.exportKey())).publicKey, identity.publicKey);
    } finally {
      runtime.getBuiltinModule = get;
    }
  });
});

describe("parsePublicKey()", () => {
  const text = "vx1:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
  const small = new Uint8Array(32);

  it("reads what an identity shows", () => {
    const key = parsePublicKey(text);
    assertEquals(hexOf(key.bytes), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assertEquals([key.publicKey, `${key}`, JSON.stringify([key])], [text, text, `["${text}"]`]);
    assertEquals(key.fingerprint, "EH7D-DX5B-KSRG-CYTL");
    assert(key.equals(parsePublicKey(text)) && !key.equals(new PeerKey(bytesOf(PUBLIC))));
    key.bytes.fill(0);
    assertEquals(key.bytes[0], 0xd7);
  });

  it("says what is wrong", () => {
    const cases: [text: unknown, why: string][] = [
      [undefined, "it must be a string"],
      ["", "it does not start with vx1:"],
      [text.slice(4), "it does not start with vx1:"],
      [text.replace("vx1", "VX1"), "it does not start with vx1:"],
      [text.slice(0, -1), "it has 42 characters behind vx1:, not 43"],
      [`${text}A`, "it has 44 characters behind vx1:, not 43"],
      [`${text}=`, '"=" is no character of base64url'],
      [` ${text}`, "it does not start with vx1:"],
      [`${text}\n`, String.raw`"\n" is no character of base64url`],
      [text.replace("_", "/"), '"/" is no character of base64url'],
      [text.replace("_", "é"), '"é" is no character of base64url'],
      [`${text.slice(0, -1)}p`, "its last character has bits that belong to no byte"],
      [`vx1:${"A".repeat(43)}`, "it is of small order"],
      [`vx1:${"_".repeat(42)}8`, "its number is not less than the prime"],
    ];
    for (const [wrong, why] of cases) assertThrows(() => parsePublicKey(wrong as string), TypeError, why);
    // Who mixes up the two keys does not find the secret one in the log.
    const { message } = assertThrows(() => parsePublicKey(PEM), TypeError);
    assertEquals(message, "Invalid public key: it does not start with vx1:");
    assertThrows(() => new PeerKey(small), TypeError, "small order");
    assertThrows(() => new PeerKey(new Uint8Array(32).fill(255)), TypeError, "not less than the prime");
    assertThrows(() => new PeerKey(new Uint8Array(31)), TypeError, "it has 31 bytes, not 32");
  });
});

describe("veltix keygen", () => {
  const flags = "Deno" in globalThis ? ["run", "-A", "--no-check", "--config", `${ROOT}deno.json`] : [];
  const keygen = (cwd: string, ...args: string[]): [status: number | null, stdout: string, stderr: string] => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [
      ...flags,
      `${ROOT}src/cli/mod.ts`,
      "keygen",
      ...args,
    ], { cwd, encoding: "utf8", timeout: 50_000, env: { ...process.env, NO_COLOR: "1" } });
    return [status, stdout, stderr];
  };

  it("makes a file and prints the public key, and then refuses to overwrite it", () =>
    inFolder(async (folder) => {
      const [status, stdout, stderr] = keygen(folder);
      assertEquals(status, 0, stderr);
      const path = join(folder, "identity.pem");
      const identity = await Identity.load(path);
      assert(stdout.includes(identity.publicKey) && stdout.includes(identity.fingerprint), stdout);
      for (const secret of secretsOf(identity.exportKey())) {
        assert(!(stdout + stderr).includes(secret), stdout + stderr);
      }
      const again = keygen(folder, path);
      assertEquals([again[0], again[1]], [2, ""]);
      assertMatch(again[2], /Cannot save an identity to ".*identity.pem": there is a file already/);
      assertEquals((await Identity.load(path)).publicKey, identity.publicKey);
    }));
});
