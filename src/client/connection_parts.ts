/**
 * What a client needs from the moment that it connects: the handshake, and all that runs a connection. A bundle for
 * browsers keeps it apart from what a page needs before that.
 *
 * @module
 */

export { Peer } from "../app/peer.ts";
export { makeShared } from "../app/shared.ts";
export { contractNote, featureSetOf } from "../session/features/list.ts";
export { dial } from "./dial.ts";
