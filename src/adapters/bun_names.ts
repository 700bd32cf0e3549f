/**
 * Resolves names for the listeners of Bun.
 *
 * @module
 */

/** The part of Bun that resolves names. */
export interface BunNames {
  readonly dns: { lookup(hostname: string): Promise<{ readonly address: string }[]> };
}

/** Resolves a name before listening: a listener of Bun at a host name does not report its address. */
export async function resolveBun({ dns }: BunNames, hostname: string): Promise<string> {
  if (/^[\d.]+$|:/.test(hostname)) return hostname;
  const [first] = await dns.lookup(hostname);
  return first.address;
}
