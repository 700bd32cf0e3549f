/** Ed25519: the vectors of the RFC, and what must not pass as a signature, with each implementation there is. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { nodeCrypto } from "../src/encryption/builtin.ts";
import { equalBytes, findEd25519, isSmallOrder, nobleEd25519, nodeEd25519 } from "../src/encryption/ed25519.ts";
import { bytesOf, hexOf } from "./encryption_support.ts";

/** RFC 8032, section 7.1: secret key, public key, message, signature. */
const VECTORS: [seed: string, key: string, message: string, signature: string][] = [
  [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    "",
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
  ],
  [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  ],
  [
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
    "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    "af82",
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
  ],
  [
    "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
    "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
  ],
];

/** The points of small order: y, without the bit of the sign. */
const SMALL = [
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map(bytesOf);
/** The same with and without the bit of the sign. */
const SMALL_KEYS = [...SMALL, ...SMALL.map((y) => y.with(31, y[31] | 0x80))];

const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** A number of 32 bytes, the lowest first. */
function little(value: bigint): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => Number(value >> BigInt(8 * i) & 0xffn));
}

const numberOf = (bytes: Uint8Array): bigint => bytes.reduceRight((sum, byte) => sum << 8n | BigInt(byte), 0n);

/** The signature with another second half. */
const withScalar = (signature: Uint8Array, value: bigint): Uint8Array => {
  const changed = signature.slice();
  changed.set(little(value), 32);
  return changed;
};

const native = nodeCrypto();
assert(native !== undefined, "each of the three runtimes has node:crypto");
const IMPLEMENTATIONS = { "node:crypto": nodeEd25519(native), "@noble/curves": nobleEd25519() };

for (const [name, { signer, verify }] of Object.entries(IMPLEMENTATIONS)) {
  describe(`Ed25519 by ${name}`, () => {
    it("makes the keys and the signatures of RFC 8032, and verifies them", () => {
      for (const [seed, key, message, signature] of VECTORS) {
        const made = signer(bytesOf(seed));
        assertEquals(hexOf(made.publicKey), key);
        assertEquals(hexOf(made.sign(bytesOf(message))), signature);
        assert(verify(bytesOf(signature), bytesOf(message), bytesOf(key)));
      }
    });

    it("refuses another message, another key, and every changed bit of a signature", () => {
      const [[, key, , signature], [, other]] = VECTORS;
      const [good, message] = [bytesOf(signature), new Uint8Array()];
      assert(verify(good, message, bytesOf(key)));
      assert(!verify(good, Uint8Array.of(0), bytesOf(key)));
      assert(!verify(good, message, bytesOf(other)));
      for (let bit = 0; bit < 512; bit += 5) {
        const at = bit >> 3;
        assert(!verify(good.with(at, good[at] ^ 1 << (bit & 7)), message, bytesOf(key)), `bit ${bit}`);
      }
    });

    it("refuses what has another size, and throws at nothing", () => {
      const [[, key, , signature]] = VECTORS;
      const message = new Uint8Array();
      for (const size of [0, 31, 33, 64]) assert(!verify(bytesOf(signature), message, new Uint8Array(size).fill(9)));
      for (const size of [0, 32, 63, 65]) assert(!verify(new Uint8Array(size).fill(9), message, bytesOf(key)));
      // 2 is the y of no point.
      assert(!verify(bytesOf(signature), message, little(2n)));
    });

    it("refuses made-up signatures under each key of small order", () => {
      for (const key of SMALL_KEYS) {
        assert(isSmallOrder(key), hexOf(key));
        for (const r of SMALL_KEYS) {
          for (let i = 0; i < 4; i++) {
            const forged = new Uint8Array(64);
            forged.set(r);
            assert(!verify(forged, Uint8Array.of(i), key), `${hexOf(key)} ${hexOf(r)}`);
          }
        }
      }
    });

    it("refuses a scalar that is not less than the order of the base point", () => {
      for (const [, key, message, signature] of VECTORS) {
        const good = bytesOf(signature);
        const scalar = numberOf(good.subarray(32));
        for (let times = 1n; scalar + times * ORDER < 2n ** 256n; times++) {
          assert(!verify(withScalar(good, scalar + times * ORDER), bytesOf(message), bytesOf(key)), `${times}`);
        }
      }
      assert(!verify(withScalar(bytesOf(VECTORS[0][3]), ORDER), new Uint8Array(), bytesOf(VECTORS[0][1])));
    });

    it("refuses keys and points whose y is not less than the prime", () => {
      const [[, key, , signature]] = VECTORS;
      for (let more = 0n; more < 19n; more++) {
        const y = little(2n ** 255n - 19n + more);
        for (const point of [y, y.with(31, y[31] | 0x80)]) {
          assert(!verify(bytesOf(signature), new Uint8Array(), point));
          const forged = bytesOf(signature);
          forged.set(point);
          assert(!verify(forged, new Uint8Array(), bytesOf(key)));
        }
      }
    });
  });
}

describe("Ed25519", () => {
  it("does not ask the runtime about what is not canonical or of small order: not each of them says no", () => {
    let asked = 0;
    const { verify } = nodeEd25519({
      createPrivateKey: (key) => native.createPrivateKey(key),
      createPublicKey: (key) => native.createPublicKey(key),
      sign: (algorithm, message, key) => native.sign(algorithm, message, key),
      verify: () => ++asked > 0,
    });
    const [[, key, , signature]] = VECTORS;
    const [good, message] = [bytesOf(signature), new Uint8Array()];
    assert(verify(good, message, bytesOf(key)));
    const large = good.slice();
    large.set(little(2n ** 255n - 19n));
    for (const wrong of [withScalar(good, ORDER), withScalar(good, 2n ** 256n - 1n), large]) {
      assert(!verify(wrong, message, bytesOf(key)));
    }
    for (const small of SMALL_KEYS) assert(!verify(good, message, small));
    assertEquals(asked, 1);
    assert(verify(withScalar(good, ORDER - 1n), message, bytesOf(key)));
  });

  it("is the same with both implementations", () => {
    const [a, b] = Object.values(IMPLEMENTATIONS);
    for (let i = 1; i <= 8; i++) {
      const seed = new Uint8Array(32).fill(i);
      const message = new Uint8Array(i * 10).fill(i);
      const signature = a.signer(seed).sign(message);
      assertEquals(b.signer(seed).sign(message), signature);
      assert(b.verify(signature, message, a.signer(seed).publicKey));
      assert(a.verify(signature, message, b.signer(seed).publicKey));
    }
  });

  it("keeps its own copy of the seed", () => {
    for (const { signer, verify } of Object.values(IMPLEMENTATIONS)) {
      const seed = new Uint8Array(32).fill(7);
      const made = signer(seed);
      seed.fill(0);
      assert(verify(made.sign(seed), seed, made.publicKey));
    }
  });

  it("is found where there is no node:crypto, too", () => {
    const runtime = globalThis.process;
    const get = runtime.getBuiltinModule;
    const seed = new Uint8Array(32).fill(1);
    const expected = findEd25519().signer(seed).publicKey;
    try {
      runtime.getBuiltinModule = undefined as unknown as typeof get;
      assertEquals(nodeCrypto(), undefined);
      assertEquals(findEd25519().signer(seed).publicKey, expected);
    } finally {
      runtime.getBuiltinModule = get;
    }
    assertNotEquals(nodeCrypto(), undefined);
  });
});

describe("equalBytes()", () => {
  it("sees each difference", () => {
    const bytes = Uint8Array.from({ length: 32 }, (_, i) => i);
    assert(equalBytes(bytes, bytes.slice()));
    assert(!equalBytes(bytes, bytes.subarray(1)));
    for (let i = 0; i < 32; i++) assert(!equalBytes(bytes, bytes.with(i, bytes[i] ^ 0x80)), `${i}`);
  });
});
