/**
 * The test kit. It has servers and clients that close themselves, a network inside the program with faults and with
 * time that the test moves, peers that the test drives by hand, recorded events and frames, and assertions for any test
 * runner. {@linkcode simulate} runs a whole program under faults that are drawn from a seed.
 *
 * @example A test of a request, without sockets
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { messageType, text } from "@veltix/core";
 * import { assertEvent, connect, serve } from "@veltix/core/testing";
 *
 * const SHOUT = messageType(200, "shout", text, text);
 *
 * await using served = await serve({}, (server) => server.route(SHOUT, ({ data }) => data.toUpperCase()));
 * await using connected = await connect(served);
 * assertEquals(await connected.client.request(SHOUT, "hello"), "HELLO");
 * assertEvent(served.events, "connect");
 * ```
 *
 * @module
 */

export {
  type BitFlip,
  FakeClock,
  type Faults,
  type FaultsInfo,
  type Freeze,
  type MemoryDirection,
  type MemoryLine,
  type MemoryOptions,
  type RandomSplit,
} from "../adapters/memory.ts";
export { AssertionError } from "./assertion.ts";
export { assertConnected, assertEvent, assertFailsWith, assertReceived, type HasState } from "./assertions.ts";
export { EventRecorder, type RecordedEvent, type RecordedEvents, recordEvents } from "./event_recorder.ts";
export {
  type Announced,
  type ExpectedFrame,
  type ExpectOptions,
  FakePeer,
  FakeServer,
  handshakeMessage,
} from "./fake_peer.ts";
export {
  FrameRecorder,
  type FrameRecorderOptions,
  type FrameTextOptions,
  type RecordedFrame,
} from "./frame_recorder.ts";
export type { RawFrame } from "./frame_splitter.ts";
export { Inbox, type InboxTarget, type ReceivedMessages } from "./inbox.ts";
export { LogLines } from "./log_lines.ts";
export { type ExpectMatchers, type MatcherResult, type Matchers, matchers } from "./matchers.ts";
export { SeededRandom } from "./random.ts";
export { connect, type Connected, serve, type Served } from "./serve.ts";
export { type Seeds, simulate, type SimulateOptions, type Simulation, SimulationError } from "./simulate.ts";
export type { SimulatedFaults } from "./simulated_network.ts";
export type { SimulatedServer, SimulatedWorld, WorldClock } from "./simulated_world.ts";
export { type MemoryWorld, memoryWorld, socketWorld, type TimedWorld, withClock, type World } from "./worlds.ts";
export type { DecodedFrame } from "../wire/decoded_frame.ts";
export type { Frame } from "../wire/frame.ts";
export type { HandshakeKind, HeaderLayout, IdKind, Integrity, Protocol } from "../wire/protocols.ts";
// The servers, clients, options and events that the kit takes and returns.
export type * from "../../mod.ts";
