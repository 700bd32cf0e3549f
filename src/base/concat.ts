/**
 * Joins bytes.
 *
 * @module
 */

/** Returns the bytes of all pieces, one after the other. If only one has any, it is returned as it is. */
export function concat(...pieces: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  let longest = pieces[0];
  for (const piece of pieces) {
    size += piece.length;
    if (piece.length > longest.length) longest = piece;
  }
  if (longest.length === size) return longest;
  const joined = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
