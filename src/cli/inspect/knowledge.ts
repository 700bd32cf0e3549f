/**
 * What reading connections needs to know: the features of this library, the codecs, and the sessions seen so far.
 *
 * @module
 */

import type { PeerObject } from "../../base/untrusted.ts";
import { loadCompression } from "../../auto/load_compression.ts";
import type { CompressionCodec } from "../../compression_seam.ts";
import { featureSetOf } from "../../session/features/list.ts";
import type { NegotiatedFlags } from "../../wire/decoder_options.ts";
import type { HandshakeOutcome } from "../../wire/handshake/terms.ts";
import type { Protocol } from "../../wire/protocols.ts";
import type { KnownSession } from "./known_session.ts";

/** How connections are read. */
export interface Knowledge {
  /** Returns the flags of features that were agreed on, and the check of their frames. */
  flagsOf(features: ReadonlyMap<string, PeerObject>): NegotiatedFlags;
  /** Finds a codec by its name. */
  codec(name: unknown): CompressionCodec | undefined;
  /** The sessions that may be resumed, by their ids. */
  readonly sessions: Map<string, KnownSession>;
  /** The protocol of all connections; `undefined` to find it out. */
  readonly protocol: Protocol | undefined;
  /** True to show credentials and the keys of sessions. */
  readonly secrets: boolean;
}

/** The features of `streams`, `meta` and so on, all of them: for frames whose handshake was not seen. */
const ALL_FEATURES: ReadonlyMap<string, PeerObject> = /* @__PURE__ */ new Map(
  ["credit", "goaway", "streams", "contract", "meta", "resume", "compression"].map((name) => [name, {}]),
);

/** Returns the flags of all features. */
export function allFlags(knowledge: Knowledge): NegotiatedFlags {
  return knowledge.flagsOf(ALL_FEATURES);
}

/** Loads what reading needs. */
export async function loadKnowledge(
  { protocol, secrets = false }: { protocol?: Protocol | undefined; secrets?: boolean | undefined } = {},
): Promise<Knowledge> {
  const codecs = loadCompression();
  const limits = { maxMessageSize: 1 << 24, maxQueuedBytes: 1, maxQueuedMessages: 1, maxStreams: 1, streamWindow: 1 };
  const features = await featureSetOf({
    limits,
    resume: { keep: 1, buffer: 1 },
    compression: { codecs, level: undefined, least: 1 },
    contract: "00000000",
  }, []);
  return {
    // The set reads nothing else of an outcome.
    flagsOf: (agreed) => features.agreed({ features: agreed } as HandshakeOutcome),
    codec: (name) => codecs.find((codec) => codec.name === name),
    sessions: new Map(),
    protocol,
    secrets,
  };
}
