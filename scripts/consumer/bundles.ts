/**
 * The bundlers at work on a user's program for browsers. What they make may import no module of a runtime.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Project } from "./project.ts";
import { size } from "./table.ts";

/** Bundles by esbuild. Returns the sizes of the bundle. */
export async function bundleByEsbuild(project: Project, node: string, esbuild: string): Promise<string> {
  const args = [
    "browser.ts",
    "--bundle",
    "--minify",
    "--format=esm",
    "--splitting",
    "--platform=browser",
    "--outdir=esbuild",
  ];
  const { status, output } = await project.run(node, [esbuild, ...args, "--log-level=warning"]);
  // A module of a runtime cannot be resolved for this platform.
  const faults = [...new Set(output.match(/(?<=^✘ \[ERROR\] ).*/gm))];
  if (status !== 0) throw new Error(faults.length > 0 ? faults.join("\n") : output);
  return sizes(join(project.folder, "esbuild"), /^browser\.js$/);
}

/** Bundles by Vite. Returns the sizes of the bundle. */
export async function bundleByVite(project: Project, node: string, vite: string): Promise<string> {
  project.write("index.html", '<!doctype html><script type="module" src="/browser.ts"></script>\n');
  const output = await project.must(node, [vite, "build", "--outDir", "vite", "--logLevel", "info"]);
  // Vite puts an empty module in the place of one of a runtime, and only warns.
  const [warning] = /.*externalized for browser compatibility.*/.exec(output) ?? [];
  if (warning !== undefined) throw new Error(`Vite leaves out a module of a runtime: ${warning.trim()}`);
  return sizes(join(project.folder, "vite/assets"), /^index-.*\.js$/);
}

/** A static import of a bundle's module by another one. Those by `import()` are loaded when they are needed. */
const IMPORT = /\b(?:from|import)\s*"\.\/([^"]+)"/g;

/** Returns how large what a page loads at first is. No module of the folder may import one of a runtime. */
function sizes(folder: string, entry: RegExp): string {
  const modules = new Map(
    readdirSync(folder).filter((name) => name.endsWith(".js")).map((name) => [name, readFileSync(join(folder, name))]),
  );
  for (const [name, code] of modules) {
    const [found] = /\b(?:from|import)\s*\(?\s*["']node:[^"']+["']/.exec(code.toString()) ?? [];
    if (found !== undefined) throw new Error(`${name} has ${found}`);
  }
  const first = new Set([...modules.keys()].filter((name) => entry.test(name)));
  if (first.size !== 1) throw new Error(`The bundler made ${[...modules.keys()].join(", ") || "nothing"}`);
  let [plain, packed] = [0, 0];
  for (const name of first) {
    const code = modules.get(name)!;
    for (const [, imported] of code.toString().matchAll(IMPORT)) first.add(imported);
    plain += code.length;
    packed += gzipSync(code, { level: 9 }).length;
  }
  return `loads ${size(plain)} at first, gzip ${size(packed)}`;
}
