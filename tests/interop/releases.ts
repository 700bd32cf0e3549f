/**
 * The Python releases that the suite runs, and in what they differ as peers.
 *
 * @module
 */

/** A release of Python's `veltix`. */
export interface Release {
  /** Its version on PyPI. */
  readonly name: string;
  /** What it calls itself, where that is something else. */
  readonly announces?: string;
  /** How a connection is opened: without a word, by HELLO frames, or by JSON. */
  readonly handshake: "none" | "hello" | "json";
  /** A release that it does not take and that does not take it; `undefined` where it takes anybody. */
  readonly foreign?: string;
  /** Whether its client says "connected" although it met a release that it does not take. */
  readonly pretends?: boolean;
  /** Its largest payload, in bytes; more is not received. */
  readonly largest?: number;
  /** The largest payload that it sends whole, in bytes: it gives the rest of what its socket does not take at once away. */
  readonly sendsWhole?: number;
  /** Whether it closes no connection by itself: only its end does. */
  readonly clings?: boolean;
  /** Whether its default sockets send a part of a frame and then the whole once more when their buffer is full. */
  readonly tears?: boolean;
  /** Whether it loses messages when its socket's buffer is full, and calls them sent. */
  readonly loses?: boolean;
  /** Whether its client connects again by itself. */
  readonly retries?: boolean;
  /** Whether it closes a connection without shutting it down, so that no FIN goes out while a thread of its own still reads. */
  readonly lingers?: boolean;
}

/** At least one for each row of the protocol table, and each release whose handshake differs from its neighbours'. */
export const RELEASES: readonly Release[] = [
  { name: "1.2.1", handshake: "none", largest: 962, lingers: true },
  { name: "1.3.0", handshake: "none", lingers: true },
  { name: "1.4.0", handshake: "hello", foreign: "1.5.0", pretends: true, lingers: true },
  { name: "1.5.0", handshake: "hello", foreign: "1.4.0", pretends: true, retries: true },
  {
    name: "1.6.1",
    announces: "1.6.0",
    handshake: "hello",
    sendsWhole: 65_536,
    foreign: "1.5.0",
    pretends: true,
    retries: true,
  },
  { name: "1.6.3", handshake: "hello", foreign: "1.6.4", retries: true },
  { name: "1.6.5", announces: "1.6.4", handshake: "hello", clings: true, foreign: "1.6.3", retries: true },
  { name: "1.6.6", handshake: "hello", foreign: "1.6.3", retries: true },
  { name: "1.6.9", handshake: "hello", foreign: "1.6.3", retries: true },
  { name: "1.6.10", handshake: "hello", foreign: "1.6.9", retries: true },
  { name: "1.7.0", handshake: "hello", foreign: "1.7.4", clings: true, tears: true, retries: true },
  { name: "1.7.2", handshake: "hello", foreign: "1.7.4", clings: true, tears: true, retries: true },
  { name: "1.7.5", handshake: "hello", foreign: "1.7.4", clings: true, tears: true, retries: true },
  { name: "1.8.1", handshake: "json", foreign: "1.8.0", tears: true, retries: true },
  { name: "1.9.0", handshake: "json", foreign: "1.8.1", tears: true, retries: true },
  { name: "2.0.0", handshake: "json", foreign: "2.0.3", tears: true, retries: true },
  { name: "2.0.1", handshake: "json", foreign: "3.3.0", tears: true, retries: true },
  { name: "2.0.2", handshake: "json", foreign: "3.3.0", tears: true, retries: true },
  { name: "2.0.3", handshake: "json", foreign: "1.9.0", tears: true, retries: true },
  { name: "3.0.0", handshake: "json", foreign: "1.9.0", tears: true, retries: true },
  { name: "3.0.1", handshake: "json", foreign: "1.9.0", sendsWhole: 8_192, loses: true, retries: true },
  { name: "3.0.2", handshake: "json", foreign: "1.9.0", sendsWhole: 8_192, loses: true, retries: true },
  { name: "3.1.0", handshake: "json", foreign: "1.9.0", sendsWhole: 65_536, loses: true, retries: true },
  { name: "3.1.1", handshake: "json", foreign: "1.9.0", sendsWhole: 65_536, loses: true, retries: true },
  { name: "3.2.0", handshake: "json", foreign: "1.9.0", sendsWhole: 65_536, loses: true, retries: true },
  { name: "3.2.1", handshake: "json", foreign: "1.9.0", retries: true },
  { name: "3.3.0", handshake: "json", foreign: "1.9.0", retries: true },
];

/** The release of that name. */
export function releaseNamed(name: string): Release {
  const release = RELEASES.find((release) => release.name === name);
  if (release === undefined) {
    throw new TypeError(`Unknown release "${name}": there are ${RELEASES.map(({ name }) => name).join(", ")}`);
  }
  return release;
}

/** What it calls itself. */
export function announced({ name, announces }: Release): string {
  return announces ?? name;
}
