import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { ChunkQueue } from "../src/adapters/chunk_queue.ts";
import { type Channel, Duplex } from "../src/adapters/duplex.ts";
import { CipherState } from "../src/encryption/cipher_state.ts";
import { EncryptedConnection } from "../src/encryption/encrypted_connection.ts";
import type { NoiseOutcome } from "../src/encryption/handshake/terms.ts";
import { RecordReader } from "../src/encryption/record_reader.ts";
import { RecordWriter, sealedSize } from "../src/encryption/record_writer.ts";
import type { Suite } from "../src/encryption/primitives.ts";
import { BOTH, ciphers, codeOf, NODE } from "./encryption_support.ts";
import { cutEvery, hex, isMine, join, Random, utf8 } from "./wire_support.ts";

const MAX = 65_519;

/** Two ends of one direction of records. */
function pair(suite: Suite = 2, primitives = NODE, rekeyEvery?: number): [RecordWriter, RecordReader] {
  const [sending, receiving] = ciphers(suite, primitives);
  return [new RecordWriter(sending, { rekeyEvery }), new RecordReader(receiving, { rekeyEvery })];
}

/** What a reader made of chunks: its plaintext, and how it ended. */
interface Reading {
  readonly text: string;
  readonly end: string | undefined;
}

/** Reads chunks and the FIN after them. */
function read(reader: RecordReader, chunks: readonly Uint8Array[]): Reading {
  const texts: Uint8Array[] = [];
  const failed = codeOf(() => {
    for (const chunk of chunks) {
      reader.push(chunk);
      for (let text = reader.next(); text !== undefined; text = reader.next()) texts.push(text);
    }
  });
  return { text: new TextDecoder().decode(join(...texts)), end: failed ?? reader.finish()?.code };
}

/** Three records and the end: `one`, `two`, `three`. */
function conversation(suite: Suite = 2): [records: Uint8Array[], reader: RecordReader] {
  const [writer, reader] = pair(suite);
  return [[...["one", "two", "three"].map((text) => writer.seal(utf8(text))), writer.end()], reader];
}

describe("records", () => {
  for (const suite of [1, 2] as const) {
    for (const primitives of BOTH) {
      it(`of suite ${suite} by ${primitives.name} bring every size, whatever the cut`, () => {
        const random = new Random(suite);
        const [writer, reader] = pair(suite, primitives);
        for (const size of [1, 2, 15, 16, 17, 1000, 1025, 5000]) {
          const text = random.bytes(size);
          const records = writer.seal(text);
          assertEquals(records.length, sealedSize(size));
          assertEquals(records.length, size + 18);
          for (const piece of cutEvery(records, size < 1000 ? 1 : 333)) {
            reader.push(piece);
            const opened = reader.next();
            if (opened !== undefined) assertEquals(opened, text);
          }
          assertEquals(reader.begun, 0);
        }
        const [last, finished] = [writer.end(), reader];
        finished.push(last);
        assertEquals([finished.next(), finished.ended, finished.finish()], [undefined, true, undefined]);
      });
    }
  }

  it("hold at most 65,519 bytes each", () => {
    for (const [size, count] of [[MAX, 1], [MAX + 1, 2], [2 * MAX, 2], [2 * MAX + 5, 3]]) {
      const [writer, reader] = pair();
      const text = new Random(size).bytes(size);
      const records = writer.seal(text);
      assertEquals(records.length, size + 18 * count);
      assertEquals(records[0] << 8 | records[1], Math.min(size, MAX) + 16);
      reader.push(records);
      const texts: Uint8Array[] = [];
      for (let piece = reader.next(); piece !== undefined; piece = reader.next()) texts.push(piece);
      assertEquals(texts.length, count);
      assertEquals(hex(join(...texts)), hex(text));
    }
  });

  it("are none for no bytes, and the plaintext stays as it is", () => {
    for (const suite of [1, 2] as const) {
      for (const primitives of BOTH) {
        const [writer, reader] = pair(suite, primitives);
        assertEquals(writer.seal(new Uint8Array(0)).length, 0);
        const text = new Random(1).bytes(3000);
        const before = text.slice();
        const records = writer.seal(text);
        assertEquals(text, before);
        const sealed = records.slice();
        text.fill(0);
        assertEquals(records, sealed, "the records have a buffer of their own");
        reader.push(records);
        assertEquals(reader.next(), before);
        assertEquals(records, sealed, "reading leaves the chunk as it is");
      }
    }
  });

  it("go into a buffer that is given, and no further", () => {
    const [writer, reader] = pair();
    const target = new Uint8Array(100).fill(0xee);
    const records = writer.seal(utf8("hello"), target.subarray(10));
    assertEquals([records.length, records.buffer === target.buffer, records.byteOffset], [23, true, 10]);
    assert(target.subarray(33).every((byte) => byte === 0xee));
    reader.push(records);
    assertEquals(reader.next(), utf8("hello"));
    assertThrows(() => writer.seal(utf8("hello"), new Uint8Array(22)), RangeError, "23");
  });

  it("have a new key at each multiple of the interval, and still one counter", () => {
    for (const suite of [1, 2] as const) {
      const [writer, reader] = pair(suite, NODE, 3);
      const [without] = pair(suite);
      for (let counter = 0; counter < 10; counter++) {
        const record = writer.seal(Uint8Array.of(counter));
        assertEquals(hex(record) === hex(without.seal(Uint8Array.of(counter))), counter < 3, `record ${counter}`);
        reader.push(record);
        assertEquals(reader.next(), Uint8Array.of(counter));
        assertEquals(reader.next(), undefined);
      }
    }
  });

  it("change their key at record 65,536 by themselves, the end record, too", () => {
    for (const first of [65_535, 131_071]) {
      const [sending, receiving] = ciphers(2, NODE, first);
      const [plain] = ciphers(2, NODE, first + 1);
      const [writer, reader] = [new RecordWriter(sending), new RecordReader(receiving)];
      const records = [writer.seal(utf8("a")), writer.end()];
      const old = new Uint8Array(16);
      plain.seal(new Uint8Array(0), new Uint8Array(0), old);
      assert(hex(records[1].subarray(2)) !== hex(old));
      assertEquals(read(reader, records), { text: "a", end: undefined });
    }
  });

  it("fail at the boundary when only one side changes the key", () => {
    const [sending, receiving] = ciphers(1);
    const writer = new RecordWriter(sending, { rekeyEvery: 2 });
    const records = ["a", "b", "c"].map((text) => writer.seal(utf8(text)));
    assertEquals(read(new RecordReader(receiving), records), { text: "ab", end: "decryption-failed" });
  });
});

describe("RecordReader", () => {
  it("takes a stream cut in two anywhere, and byte by byte", () => {
    const [records] = conversation();
    const stream = join(...records);
    const whole = { text: "onetwothree", end: undefined };
    assertEquals(read(conversation()[1], [...cutEvery(stream, 1)]), whole);
    for (let at = 0; at <= stream.length; at++) {
      assertEquals(read(conversation()[1], [stream.subarray(0, at), stream.subarray(at)]), whole, `cut at ${at}`);
    }
  });

  it("delivers nothing of a record in which any bit is flipped, and nothing after it", () => {
    for (const suite of [1, 2] as const) {
      const [records] = conversation(suite);
      const stream = join(...records);
      const [first, second] = [records[0].length, records[0].length + records[1].length];
      for (let bit = first * 8; bit < second * 8; bit++) {
        if (!isMine(bit)) continue;
        const changed = stream.slice();
        changed[bit >> 3] ^= 1 << (bit & 7);
        const { text, end } = read(conversation(suite)[1], [changed]);
        assertEquals(text, "one", `bit ${bit}`);
        // A length that is changed may be too short for a tag, or reach beyond the end.
        const inLength = bit < first * 8 + 16;
        const codes = inLength ? ["decryption-failed", "truncated", "protocol-error"] : ["decryption-failed"];
        assert(codes.includes(end!), `bit ${bit}: ${end}`);
      }
    }
  });

  it("refuses records that are dropped, repeated, reordered, reflected or of another session", () => {
    const [[one, two, three, end]] = conversation();
    const foreign = new RecordWriter(ciphers(1)[0]).seal(utf8("one"));
    const cases: [name: string, chunks: Uint8Array[], text: string, code: string][] = [
      ["the first is dropped", [two, three, end], "", "decryption-failed"],
      ["one in the middle is dropped", [one, three, end], "one", "decryption-failed"],
      ["the last is dropped", [one, two, end], "onetwo", "decryption-failed"],
      ["one is repeated", [one, one, two], "one", "decryption-failed"],
      ["two are swapped", [one, three, two], "one", "decryption-failed"],
      ["one comes again later", [one, two, one], "onetwo", "decryption-failed"],
      ["the end comes first", [end, one], "", "decryption-failed"],
      ["another key made it", [foreign], "", "decryption-failed"],
      ["a record comes after the end", [one, two, three, end, one], "onetwothree", "protocol-error"],
      ["a byte comes after the end", [one, two, three, join(end, Uint8Array.of(0))], "onetwothree", "protocol-error"],
      ["there is no end", [one, two, three], "onetwothree", "truncated"],
      ["there is nothing", [], "", "truncated"],
    ];
    for (const [name, chunks, text, code] of cases) {
      assertEquals(read(conversation()[1], chunks), { text, end: code }, name);
    }
    // Reflected: this side's own records come back, which have the key of the other direction.
    const own = new Uint8Array(32).fill(8);
    const writer = new RecordWriter(new CipherState(NODE, 2, own));
    assertEquals(read(conversation()[1], [writer.seal(utf8("one"))]), { text: "", end: "decryption-failed" });
  });

  it("calls a stream that ends before its end record truncated, wherever that is", () => {
    const stream = join(...conversation()[0]);
    for (let size = 0; size < stream.length; size++) {
      const { text, end } = read(conversation()[1], [stream.subarray(0, size)]);
      assertEquals(end, "truncated", `${size} bytes`);
      assert("onetwothree".startsWith(text));
    }
  });

  it("refuses lengths below a tag at once", () => {
    for (let length = 0; length < 16; length++) {
      assertEquals(read(pair()[1], [Uint8Array.of(0, length)]).end, "protocol-error");
      assertEquals(read(pair()[1], [Uint8Array.of(0), Uint8Array.of(length)]).end, "protocol-error");
    }
    assertEquals(read(pair()[1], [Uint8Array.of(0, 16)]).end, "truncated");
  });

  it("throws away what comes after a failure, and keeps its first error", () => {
    const [records, reader] = conversation();
    reader.push(join(records[1], records[0]));
    assertEquals(codeOf(() => reader.next()), "decryption-failed");
    for (const record of records) reader.push(record);
    assertEquals(codeOf(() => reader.next()), "decryption-failed");
    assertEquals(reader.finish()?.code, "decryption-failed");
    assertEquals(reader.ended, false);
  });

  it("takes no chunk before the last one is read", () => {
    const [records, reader] = conversation();
    reader.push(join(records[0], records[1]));
    reader.next();
    assertThrows(() => reader.push(records[2]), Error, "not read");
  });

  it("holds a buffer for what has arrived of a record, not for what it announces", () => {
    const [writer, reader] = pair();
    const records = writer.seal(new Uint8Array(MAX));
    reader.push(records.subarray(0, 3));
    assertEquals([reader.next(), reader.begun], [undefined, 3]);
    for (const piece of cutEvery(records.subarray(3), 5000)) {
      reader.push(piece);
      const text = reader.next();
      if (text !== undefined) assertEquals(text.length, MAX);
    }
    assertEquals(reader.begun, 0);
  });

  for (const primitives of BOTH) {
    it(`returns plaintext that later records do not change, with ${primitives.name}`, () => {
      for (const suite of [1, 2] as const) {
        const [writer, reader] = pair(suite, primitives);
        const sent = [1, 2, 3, 4].map((byte) => new Uint8Array(20_000 * byte).fill(byte));
        const got: Uint8Array[] = [];
        // Every record is cut, so all of them go through the same buffer.
        for (const chunk of cutEvery(join(...sent.map((text) => writer.seal(text))), 19_001)) {
          reader.push(chunk);
          for (let text = reader.next(); text !== undefined; text = reader.next()) got.push(text);
        }
        assertEquals(join(...got), join(...sent), `suite ${suite}`);
      }
    });
  }
});

describe("RecordWriter", () => {
  it("writes nothing after the end, and nothing without its key", () => {
    const [writer] = pair();
    writer.end();
    assertThrows(() => writer.seal(utf8("a")), Error, "the end was written");
    assertThrows(() => writer.end(), Error, "the end was written");
    const [dropped] = pair();
    dropped.destroy();
    assertThrows(() => dropped.seal(utf8("a")), Error, "dropped");
  });
});

/** An encrypted connection, what its peer seals with, and the queue of what has arrived. */
function receiving(
  write: Channel["write"] = () => Promise.resolve(),
  suite: Suite = 1,
  primitives = NODE,
  release: () => void = () => {},
): { connection: EncryptedConnection; sealing: RecordWriter; arrived: ChunkQueue } {
  const [sealing, opening] = ciphers(suite, primitives);
  const [sending] = ciphers(suite, primitives);
  const arrived = new ChunkQueue(65_536, { pause: () => {}, resume: () => {} });
  const channel: Channel = {
    local: { path: "" },
    remote: { path: "" },
    read: (reader) => arrived.read(reader),
    write,
    finish: () => Promise.resolve(),
    release,
    unref: () => {},
  };
  const identities: NoiseOutcome["identities"] = [];
  const empty = new Uint8Array(0);
  const outcome = { suite, handshakeHash: empty, sending, receiving: opening, identities, first: empty } as const;
  const security = { kind: "noise", certificate: undefined } as const;
  const connection = new EncryptedConnection(new Duplex(channel), { ...outcome, rest: empty }, security);
  return { connection, sealing: new RecordWriter(sealing), arrived };
}

describe("EncryptedConnection", () => {
  it("takes any number of chunks that are there at once", async () => {
    const { connection, sealing, arrived } = receiving();
    const text = new Uint8Array(60_000).map((_, i) => i);
    for (const byte of sealing.seal(text)) arrived.push(Uint8Array.of(byte));
    assertEquals(await connection.read(), text);
  });

  it("is closed, too, after the connection below has thrown or rejected with nothing", async () => {
    const ways: Channel["write"][] = [
      () => {
        throw new Error("not now");
      },
      () => Promise.reject(undefined),
    ];
    for (const way of ways) {
      const { connection } = receiving(way);
      await assertRejects(() => connection.write(new Uint8Array(5)));
      await assertRejects(() => connection.closeWrite());
    }
  });

  it("seals one write at a time, so that no record is missing", async () => {
    const records: Uint8Array[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const { connection } = receiving((bytes) => {
      records.push(bytes);
      return promise;
    });
    const first = connection.write(new Uint8Array(5));
    await assertRejects(() => connection.write(new Uint8Array(6)), TypeError, "one write at a time");
    resolve();
    await first;
    await connection.write(new Uint8Array(7));
    const [opening] = ciphers(1, NODE);
    const reader = new RecordReader(opening);
    const sizes = records.map((record) => {
      reader.push(record);
      return reader.next()?.length;
    });
    assertEquals(sizes, [5, 7]);
  });

  it("counts the bytes of a record that is not complete as a sign of life, unless they trickle", async () => {
    const { connection, sealing, arrived } = receiving();
    const record = sealing.seal(new Uint8Array(60_000));
    const reading = connection.read();
    const began = performance.now();
    assertEquals(connection.moved(), false, "nothing has come");
    arrived.push(record.slice(0, 100));
    assertEquals([connection.moved(), connection.moved()], [true, false]);
    arrived.push(record.slice(100, 200));
    assertEquals(connection.moved(began + 9_000), true, "it may begin slowly");
    arrived.push(record.slice(200, 300));
    assertEquals(connection.moved(began + 60_000), false, "300 bytes in a minute");
    arrived.push(record.slice(300, 62_000 - 10_000));
    assertEquals(connection.moved(began + 45_000), true, "more than a kilobyte a second");
    arrived.push(record.slice(52_000));
    assertEquals((await reading)!.length, 60_000);
  });

  for (const primitives of BOTH) {
    it(`writes over the bytes of a large write only when that has settled, with ${primitives.name}`, async () => {
      for (const suite of [1, 2] as const) {
        const written: { readonly bytes: Uint8Array; readonly then: string; readonly settle: () => void }[] = [];
        const { connection } = receiving(
          (bytes) => {
            const { promise, resolve } = Promise.withResolvers<void>();
            written.push({ bytes, then: hex(bytes), settle: resolve });
            return promise;
          },
          suite,
          primitives,
        );
        const [, opening] = ciphers(suite, primitives);
        const reader = new RecordReader(opening);
        const buffers = new Set<ArrayBufferLike>();
        // The sizes fall, so that what the buffer held before is longer.
        for (const [i, size] of [200_000, 90_000, 20_000, 100].entries()) {
          const text = new Uint8Array(size).fill(i + 1);
          const writing = connection.write(text);
          const { bytes, then, settle } = written[i];
          text.fill(0);
          await Promise.resolve();
          assertEquals(hex(bytes), then, "nobody changes bytes that are being written");
          assertEquals(bytes.length, sealedSize(size));
          reader.push(bytes);
          const got: Uint8Array[] = [];
          for (let part = reader.next(); part !== undefined; part = reader.next()) got.push(part);
          assertEquals(join(...got), text.fill(i + 1), `${size} bytes in suite ${suite}`);
          buffers.add(bytes.buffer);
          settle();
          await writing;
        }
        // The large ones share a buffer; the small one has its own.
        assertEquals(buffers.size, 2);
      }
    });
  }

  it("takes no buffer of a write that was not over", async () => {
    const written: Uint8Array[] = [];
    const settle: ((error?: Error) => void)[] = [];
    const { connection } = receiving((bytes) => {
      written.push(bytes);
      return new Promise((resolve, reject) => settle.push((error) => error === undefined ? resolve() : reject(error)));
    });
    const first = connection.write(new Uint8Array(50_000));
    const kept = hex(written[0]);
    settle[0](new Error("broken"));
    await assertRejects(() => first);
    await assertRejects(() => connection.write(new Uint8Array(50_000)));
    assertEquals(hex(written[0]), kept);
  });

  it("closes its socket when it is aborted after its end, though no FIN has come", async () => {
    let released = 0;
    const { connection, sealing, arrived } = receiving(undefined, undefined, undefined, () => released++);
    await connection.closeWrite();
    arrived.push(sealing.end());
    assertEquals(await connection.read(), null);
    assertEquals(released, 0);
    connection.abort(new Error("late"));
    assertEquals(released, 1);
    assertEquals(await connection.closed, undefined, "nothing was lost");
  });
});
