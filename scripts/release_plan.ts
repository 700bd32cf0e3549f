/**
 * What a release changes, as functions of texts: the next version, the files that name it, the changelog; and why a
 * release cannot be made. `release.ts` does it.
 *
 * Runs on Deno, Bun and Node.
 *
 * @module
 */

/** The state of a checkout that is to be released. */
export interface Checkout {
  /** The branch that is checked out. */
  readonly branch: string;
  /** The files that differ from the last commit, as `git status --porcelain` lists them. */
  readonly changes: readonly string[];
  /** The tags that exist. */
  readonly tags: readonly string[];
  /** The texts of {@linkcode RELEASED_FILES}, by path. */
  readonly files: Readonly<Record<string, string>>;
}

/** The branch from which releases are made. */
export const RELEASE_BRANCH = "main";

/** The files that a release changes. The first three name the version; a test checks that they agree. */
export const RELEASED_FILES = ["jsr.json", "package.json", "src/version.ts", "CHANGELOG.md"] as const;

const VERSION = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-(alpha|beta|rc)\.(0|[1-9]\d*))?$/;
const UNRELEASED = "## [Unreleased]";
/** The member or constant that names the version, in each of the files that do. */
const NAMED: Readonly<Record<string, RegExp>> = {
  "jsr.json": /^( {2}"version": ")([^"]*)(",)$/m,
  "package.json": /^( {2}"version": ")([^"]*)(",)$/m,
  "src/version.ts": /^(export const VERSION = ")([^"]*)(";)$/m,
};

/** A release that cannot be made. */
export class ReleaseError extends Error {
  override readonly name = "ReleaseError";
}

/** Major, minor, patch, and the kind and number of a pre-release. */
type Version = readonly [major: number, minor: number, patch: number, kind?: string, count?: number];

/** Returns the tag of a version. */
export function tagOf(version: string): string {
  return `v${version}`;
}

/**
 * Returns the texts of the files after the release.
 *
 * @param checkout The state before.
 * @param version The version to release, such as `"1.2.3"`, `"2.0.0-rc.1"`, or the current one if it is not released.
 * @param date The day of the release, such as `"2026-01-31"`.
 * @throws {ReleaseError} The release cannot be made. The message has every reason, one a line.
 */
export function planRelease(checkout: Checkout, version: string, date: string): Record<string, string> {
  const { branch, changes, files, tags } = checkout;
  const current = currentVersion(files);
  const reasons: string[] = [];
  if (branch !== RELEASE_BRANCH) {
    reasons.push(`Releases are made from the branch "${RELEASE_BRANCH}", and this is "${branch}"`);
  }
  if (changes.length > 0) {
    reasons.push(`The working tree has changes: commit them or put them aside:\n${changes.map(indent).join("\n")}`);
  }
  const wrong = wrongVersion(current, version, tags.includes(tagOf(current)));
  if (wrong !== undefined) reasons.push(wrong);
  if (tags.includes(tagOf(version))) reasons.push(`The tag "${tagOf(version)}" exists already`);
  if (notesOf(files["CHANGELOG.md"], "Unreleased") === "") {
    reasons.push(`CHANGELOG.md says nothing under "${UNRELEASED}"`);
  }
  if (reasons.length > 0) throw new ReleaseError(reasons.join("\n"));
  const changed = Object.entries(NAMED).map(([path, pattern]) => [
    path,
    files[path].replace(pattern, (_, before, _old, after) => before + version + after),
  ]);
  return { ...Object.fromEntries(changed), "CHANGELOG.md": moveUnreleased(files["CHANGELOG.md"], version, date) };
}

/**
 * Returns the version that the files name.
 *
 * @throws {ReleaseError} They name none, or not the same one.
 */
export function currentVersion(files: Readonly<Record<string, string>>): string {
  const found = Object.entries(NAMED).map(([path, pattern]) => {
    const version = pattern.exec(files[path] ?? "")?.[2];
    if (version === undefined) throw new ReleaseError(`${path} names no version`);
    return { path, version };
  });
  const [{ version }] = found;
  if (found.every((one) => one.version === version)) return version;
  throw new ReleaseError(`The files disagree: ${found.map((one) => `${one.path} says ${one.version}`).join(", ")}`);
}

/**
 * Returns why a version cannot follow the current one; `undefined` if it can. It can if it is the next patch, minor or
 * major version, or a pre-release of one of them. Nothing is left out, so that a slip of the finger is found.
 *
 * @param current The version that the files name.
 * @param version The version to release.
 * @param released Whether the current version is released. If it is not, it can be released itself.
 */
export function wrongVersion(current: string, version: string, released: boolean): string | undefined {
  const next = parse(version);
  const last = parse(current);
  if (next === undefined || last === undefined) {
    const bad = next === undefined ? version : current;
    return `"${bad}" is no version: write MAJOR.MINOR.PATCH, or with -alpha.N, -beta.N or -rc.N after it`;
  }
  if (version === current) return released ? `${version} is released already` : undefined;
  const [major, minor, patch, kind] = last;
  const cores = [[major, minor, patch + 1], [major, minor + 1, 0], [major + 1, 0, 0]];
  // The version itself comes after its pre-releases.
  if (kind !== undefined || !released) cores.unshift([major, minor, patch]);
  const allowed = cores.map((core) => core.join("."));
  if (compare(next, last) <= 0) return `${version} does not come after ${current}`;
  if (allowed.includes(next.slice(0, 3).join("."))) return undefined;
  return `${version} leaves versions out: after ${current} comes ${
    allowed.join(", ")
  }, or a pre-release of one of them`;
}

/**
 * Returns a changelog whose unreleased changes are those of a version, under a new and empty heading for the next ones.
 *
 * @param changelog The text, in the form of Keep a Changelog.
 * @param version The version.
 * @param date The day of the release.
 * @throws {ReleaseError} There is no place for it, or the version is there already.
 */
export function moveUnreleased(changelog: string, version: string, date: string): string {
  if (!changelog.split("\n").includes(UNRELEASED)) throw new ReleaseError(`CHANGELOG.md has no line "${UNRELEASED}"`);
  if (sectionOf(changelog, version) !== undefined) throw new ReleaseError(`CHANGELOG.md has ${version} already`);
  // A function, since a text may have "$&".
  return changelog.replace(/^## \[Unreleased\]$/m, () => `${UNRELEASED}\n\n## [${version}] - ${date}`);
}

/**
 * Returns what a changelog says about a version, without its heading. Empty if it says nothing.
 *
 * @param changelog The text.
 * @param version The version, or `"Unreleased"`.
 */
export function notesOf(changelog: string, version: string): string {
  return sectionOf(changelog, version) ?? "";
}

function sectionOf(changelog: string, version: string): string | undefined {
  const lines = changelog.split("\n");
  const start = lines.findIndex((line) => line === `## [${version}]` || line.startsWith(`## [${version}] - `));
  if (start < 0) return undefined;
  const end = lines.findIndex((line, index) => index > start && line.startsWith("## "));
  return lines.slice(start + 1, end < 0 ? undefined : end).join("\n").trim();
}

function parse(text: string): Version | undefined {
  const found = VERSION.exec(text);
  if (found === null) return undefined;
  const [, major, minor, patch, kind, count] = found;
  const core = [Number(major), Number(minor), Number(patch)] as const;
  return kind === undefined ? core : [...core, kind, Number(count)];
}

/** Compares as Semantic Versioning does. The names of the kinds are in the order of the alphabet. */
function compare(one: Version, other: Version): number {
  const [a, b] = [one, other].map(([major, minor, patch, kind = "~", count = 0]) => [major, minor, patch, kind, count]);
  const at = a.findIndex((part, index) => part !== b[index]);
  return at < 0 ? 0 : a[at] < b[at] ? -1 : 1;
}

function indent(line: string): string {
  return `    ${line}`;
}
