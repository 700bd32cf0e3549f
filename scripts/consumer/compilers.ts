/**
 * The compilers of TypeScript at work on a user's project: they check its types, and make JavaScript for runtimes that
 * lack `await using`.
 *
 * @module
 */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../runtimes.ts";
import { jsrConfig } from "./package_forms.ts";
import { PROGRAM_NAMES, type Project } from "./project.ts";

/** A compiler, by the path of its `tsc`, and the Node that runs it. */
export interface Compiler {
  readonly version: string;
  readonly path: string;
  readonly node: string;
}

/** Options that are as strict as can be. */
export const STRICTEST = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noImplicitOverride: true,
  noPropertyAccessFromIndexSignature: true,
};

/** The smallest `lib` that README.md promises, and no types of any runtime. */
const OPTIONS = {
  ...STRICTEST,
  target: "es2022",
  lib: ["es2022", "esnext.disposable", "dom"],
  types: [],
  skipLibCheck: false,
};

const RESOLUTIONS = {
  nodenext: { module: "nodenext", moduleResolution: "nodenext" },
  bundler: { module: "preserve", moduleResolution: "bundler" },
} as const;

/** The ways of a compiler to find modules. */
export const RESOLUTION_NAMES = Object.keys(RESOLUTIONS) as (keyof typeof RESOLUTIONS)[];

const FILES = ["main.ts", "browser.ts", ...PROGRAM_NAMES.map((name) => `${name}.ts`)];

/** Whether a compiler lets CommonJS import modules that are none, as Node does. */
function knowsRequireOfModules({ version }: Compiler): boolean {
  const [major, minor] = version.split(".").map(Number);
  return major > 5 || major === 5 && minor >= 8;
}

/** Checks the types of all programs, of every entry of the package, and of a module that exports what users export. */
export async function checkTypes(project: Project, compiler: Compiler): Promise<undefined> {
  copyFileSync(join(ROOT, "tests/types/strict.ts"), join(project.folder, "strict.ts"));
  const entries = Object.keys(jsrConfig().exports);
  project.write(
    "entries.ts",
    entries.map((entry, i) => `export * as e${i} from "${jsrConfig().name}${entry.slice(1)}";\n`).join(""),
  );
  project.write("common.cts", `import { Client } from "${jsrConfig().name}";\nexport const client = new Client();\n`);
  for (const resolution of RESOLUTION_NAMES) {
    const compilerOptions = { ...OPTIONS, ...RESOLUTIONS[resolution], noEmit: true, allowImportingTsExtensions: true };
    const files = [...FILES, "strict.ts", "entries.ts"];
    if (resolution === "nodenext" && knowsRequireOfModules(compiler)) files.push("common.cts");
    await compile(project, compiler, { compilerOptions, files });
  }
}

/** Makes JavaScript of all programs, in the folder `out`. */
export async function makeJavaScript(project: Project, compiler: Compiler): Promise<void> {
  const compilerOptions = {
    ...OPTIONS,
    ...RESOLUTIONS.nodenext,
    outDir: "out",
    rewriteRelativeImportExtensions: true,
  };
  await compile(project, compiler, { compilerOptions, files: FILES });
  project.makeData("out/data");
}

async function compile(project: Project, { version, path, node }: Compiler, config: object): Promise<void> {
  project.write("tsconfig.json", config);
  const { status, output } = await project.run(node, [path, "-p", ".", "--pretty", "false"]);
  if (status !== 0) throw new Error(`TypeScript ${version} with ${JSON.stringify(config)}:\n${output}`);
}
