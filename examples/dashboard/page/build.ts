/**
 * Bundles the page.
 *
 * @module
 */

import { build } from "esbuild";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The files of the page by path: their types, and their bytes. */
export type PageFiles = ReadonlyMap<string, { readonly type: string; readonly body: Uint8Array<ArrayBuffer> }>;

/** Returns the files of the page. */
export async function buildPage(): Promise<PageFiles> {
  const folder = fileURLToPath(new URL(".", import.meta.url));
  const core = fileURLToPath(new URL("../../../mod.ts", import.meta.url));
  const { outputFiles } = await build({
    entryPoints: [`${folder}page.ts`, `${folder}page.css`],
    alias: { "@veltix/core": core },
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    outdir: "/",
    write: false,
    logLevel: "warning",
  });
  const html = new Uint8Array(await readFile(`${folder}index.html`));
  return new Map([
    ["/", { type: "text/html; charset=utf-8", body: html }],
    ...outputFiles.map(({ path, contents }) =>
      [path.slice(path.lastIndexOf("/")), {
        type: path.endsWith(".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8",
        body: new Uint8Array(contents),
      }] as const
    ),
  ]);
}
