/**
 * The checks of `deno task consumer`. Each is a row of the table.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OLDEST, OLDEST_WITH_TLS } from "../../src/adapters/runtime_check.ts";
import { pathOf } from "../other_runtimes.ts";
import { pins, ROOT, type RuntimeName } from "../runtimes.ts";
import { bundleByEsbuild, bundleByVite } from "./bundles.ts";
import { checkTypes, type Compiler, makeJavaScript, RESOLUTION_NAMES } from "./compilers.ts";
import { addToDeno, checkWithDeno, tryPermissions } from "./deno_project.ts";
import { addArchive, addToBun, addToNode } from "./npm_project.ts";
import { jsrConfig, jsrNpmForm, npmForm, packed, sizeOf } from "./package_forms.ts";
import { PROGRAM_NAMES, Project, runProgram } from "./project.ts";
import type { Registry } from "./registry.ts";
import { size, Table } from "./table.ts";
import { writeArchive } from "./tar.ts";

/** The newest Node 22. */
const NODE_22 = "22.23.3";

/** Runtimes that are too old, and that many have. */
const TOO_OLD: Readonly<Record<RuntimeName, string>> = { deno: "2.7.14", bun: "1.3.14", node: "20.20.2" };

const TITLES = { deno: "Deno", bun: "Bun", node: "Node" } as const;

/** A program of npm, by its path. */
interface Tool {
  readonly version: string;
  readonly path: string;
}

/** The checks, and what they share. */
export class Checks {
  readonly #registry: Registry;
  readonly #paths: Readonly<Record<RuntimeName, string>>;
  readonly #table = new Table();
  readonly #projects: Project[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "veltix-consumer-"));
  readonly #oldCompiler: Compiler;
  #newCompiler: Compiler | undefined;
  #vite: Tool | undefined;

  /**
   * @param registry The registry, with nothing in it.
   * @param paths The pinned runtimes.
   */
  constructor(registry: Registry, paths: Readonly<Record<RuntimeName, string>>) {
    this.#registry = registry;
    this.#paths = paths;
    this.#oldCompiler = {
      version: pins().typescript,
      path: `${ROOT}node_modules/typescript/bin/tsc`,
      node: paths.node,
    };
  }

  /** Has Deno publish the package to the registry, and gives the registry the form for npm. */
  async publish(): Promise<void> {
    const { name, version } = jsrConfig();
    await this.#table.row("registry", "deno publish", `${name} ${version}`, async () => {
      const args = ["publish", "--config=jsr.json", "--allow-dirty", "--no-provenance", "--token=none"];
      const { status, output } = await runProgram(this.#paths.deno, args, ROOT, { JSR_URL: this.#registry.url });
      if (status !== 0) throw new Error(output);
      const { published } = this.#registry;
      this.#registry.serveNpm(jsrNpmForm(packed(this.#paths.deno, { maps: true }), published));
      return `${published.size} files, ${size(sizeOf(published))}`;
    });
  }

  /** Asks npm's registry for a package. Returns whether it answers: all other checks need it. */
  async reachNpm(): Promise<boolean> {
    const reached = await this.#table.value("npm", "npm view", "its registry", async () => {
      const { status, output } = await runProgram("npm", ["view", "@noble/hashes", "version"], tmpdir(), {});
      if (status !== 0) throw new Error(`npm's registry cannot be reached, and all that follows needs it:\n${output}`);
      return [true, ""];
    });
    return reached === true;
  }

  /** Brings the newest compiler and the newest Vite. */
  async bringNewest(): Promise<void> {
    await this.#table.row("tools", "npm install", "the newest versions", async () => {
      const project = await this.#project("tools", { node: this.#paths.node });
      project.write("package.json", { private: true });
      await project.must("npm", ["install", "--no-audit", "--no-fund", "typescript@latest", "vite@latest"]);
      const tool = (name: string, program: string): Tool => {
        const folder = join(project.folder, "node_modules", name);
        const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
        return { version, path: join(folder, program) };
      };
      const typescript = tool("typescript", "bin/tsc");
      this.#newCompiler = { ...typescript, node: this.#paths.node };
      this.#vite = tool("vite", "bin/vite.js");
      return `TypeScript ${typescript.version}, Vite ${this.#vite.version}`;
    });
  }

  /** Projects with the pinned runtimes, and one with the archive for npm. */
  async pinned(): Promise<void> {
    const { deno, bun, node } = this.#paths;
    await this.#tryDeno("deno", await this.#project("deno", { deno }));
    await this.#tryNode("node 24", await this.#project("node", { node }), pins().node);
    await this.#tryBun("bun", await this.#project("bun", { bun, node }), pins().bun);
    await this.#tryArchive("npm", await this.#project("npm", { deno, node }));
  }

  /** A project with Node 22. */
  async node22(): Promise<void> {
    await this.#tryCompiled("node 22", NODE_22);
  }

  /** Projects with the oldest runtimes that are supported, and with older ones, which must say so. */
  async oldest(): Promise<void> {
    await this.#tryOldest("deno");
    await this.#tryOldest("bun");
    await this.#tryCompiled("oldest", OLDEST.Node);
    for (const name of ["deno", "bun", "node"] as const) await this.#tryTooOld(name, TOO_OLD[name]);
    await this.#tryEngines(TOO_OLD.node);
  }

  /** Prints the last line. Returns whether all went well. */
  end(): boolean {
    return this.#table.end();
  }

  /** Removes what was made, or tells where it is. */
  close({ keep }: { keep: boolean }): void {
    rmSync(this.#folder, { recursive: true, force: true });
    for (const project of this.#projects) {
      if (keep) console.log(project.folder);
      else project.remove();
    }
  }

  async #project(name: string, runtimes: Partial<Record<RuntimeName, string>>): Promise<Project> {
    const project = await Project.create({ name, registry: this.#registry.url, runtimes });
    this.#projects.push(project);
    return project;
  }

  async #tryDeno(name: string, project: Project): Promise<void> {
    const versions = `Deno ${pins().deno}`;
    await this.#table.row(name, "deno add jsr:@veltix/core", versions, () => addToDeno(project));
    await tryPermissions(this.#table, project, versions);
    await this.#table.row(name, "types", versions, () => checkWithDeno(project));
  }

  async #tryNode(name: string, project: Project, version: string): Promise<void> {
    const versions = `Node ${version}`;
    await this.#table.row(name, "npx jsr add @veltix/core", versions, () => addToNode(project, this.#registry.url));
    await this.#tryPrograms(name, project, versions, "node", [], ".ts");
    await this.#tryTypes(name, project);
    await this.#tryBundles(name, project);
  }

  async #tryBun(name: string, project: Project, version: string): Promise<void> {
    const versions = `Bun ${version}`;
    await this.#table.row(name, "bunx jsr add @veltix/core", versions, () => addToBun(project, this.#registry.url));
    await this.#tryPrograms(name, project, versions, "bun", ["run"], ".ts");
    await this.#tryTypes(name, project);
  }

  async #tryArchive(name: string, project: Project): Promise<void> {
    const versions = `Node ${pins().node}`;
    await this.#table.row(name, "npm install ./veltix-core.tgz", versions, () => addArchive(project, this.#archive()));
    await this.#tryPrograms(name, project, versions, "node", [], ".ts");
    await this.#table.row(name, "talk", `Deno ${pins().deno}`, async () => {
      project.write("deno.json", { nodeModulesDir: "manual" });
      await project.program("talk", "deno", ["run", "--no-prompt", "--allow-net", "talk.ts"]);
      return "--allow-net";
    });
    await this.#tryTypes(name, project);
    await this.#tryBundles(name, project);
  }

  /** A project with a Node that lacks `await using`, which runs what TypeScript makes of the programs. */
  async #tryCompiled(name: string, version: string): Promise<void> {
    const versions = `Node ${version}, TypeScript ${this.#oldCompiler.version}`;
    const project = await this.#table.value(name, "npx jsr add @veltix/core", versions, async () => {
      const made = await this.#project("node", { node: pathOf("node", version) });
      const figures = await addToNode(made, this.#registry.url);
      await makeJavaScript(made, this.#oldCompiler);
      return [made, figures];
    });
    if (project !== undefined) await this.#tryPrograms(name, project, versions, "node", [], ".js", "out/");
  }

  /** A project with the oldest Deno or Bun, whose TLS may be refused, and one with the oldest whose TLS is not. */
  async #tryOldest(runtime: "deno" | "bun"): Promise<void> {
    const title = TITLES[runtime];
    const args = runtime === "deno" ? ["run", "-A"] : ["run"];
    const project = await this.#addTo(runtime, OLDEST[title]);
    if (project === undefined) return;
    const versions = `${title} ${OLDEST[title]}`;
    const withTls = OLDEST_WITH_TLS[title];
    const programs = PROGRAM_NAMES.filter((name) => name !== "tls" || withTls === OLDEST[title]);
    await this.#tryPrograms("oldest", project, versions, runtime, args, ".ts", "", programs);
    if (withTls === OLDEST[title]) return;
    await this.#table.row("oldest", "tls, refused", versions, async () => {
      const why = `tls needs ${title} ${withTls} or later, and this is ${title} ${OLDEST[title]}`;
      await project.mustFail(runtime, [...args, "tls.ts"], why);
      return `needs ${title} ${withTls}`;
    });
    // The pinned runtimes run it anyway.
    if (withTls === pins()[runtime]) return;
    const newer = await this.#addTo(runtime, withTls);
    if (newer === undefined) return;
    await this.#table.row(
      "oldest",
      "tls",
      `${title} ${withTls}`,
      () => newer.program("tls", runtime, [...args, "tls.ts"]),
    );
  }

  /** Makes a project with a version of Deno or Bun. Returns `undefined` if that failed. */
  #addTo(runtime: "deno" | "bun", version: string): Promise<Project | undefined> {
    const add = runtime === "deno" ? "deno add jsr:@veltix/core" : "bunx jsr add @veltix/core";
    return this.#table.value("oldest", add, `${TITLES[runtime]} ${version}`, async () => {
      const path = pathOf(runtime, version);
      const project = await this.#project(runtime, { node: this.#paths.node, [runtime]: path });
      return [project, await (runtime === "deno" ? addToDeno(project) : addToBun(project, this.#registry.url))];
    });
  }

  /** Runs the quick start and all other programs; on Node, one that has `require`, too. */
  async #tryPrograms(
    name: string,
    project: Project,
    versions: string,
    runtime: RuntimeName,
    args: readonly string[],
    end: ".ts" | ".js",
    folder = "",
    programs: readonly string[] = PROGRAM_NAMES,
  ): Promise<void> {
    const run = (program: string): Promise<void> =>
      project.program(program, runtime, [...args, `${folder}${program}${end}`]);
    await this.#table.row(name, "quick start", versions, () => run("main"));
    await this.#table.row(name, `${programs.length} more programs`, versions, async () => {
      for (const program of programs) await run(program);
    });
    if (runtime !== "node") return;
    // Node 22.12 calls it experimental.
    const requiring = ["--disable-warning=ExperimentalWarning", "require.cjs"];
    await this.#table.row(name, "require", versions, () => project.program("require", "node", requiring));
  }

  async #tryTypes(name: string, project: Project): Promise<void> {
    for (const compiler of [this.#oldCompiler, this.#newCompiler]) {
      if (compiler === undefined) continue;
      const what = `types, ${RESOLUTION_NAMES.join(", ")}`;
      await this.#table.row(name, what, `TypeScript ${compiler.version}`, () => checkTypes(project, compiler));
    }
  }

  async #tryBundles(name: string, project: Project): Promise<void> {
    const { node } = this.#paths;
    const esbuild = `${ROOT}node_modules/esbuild/bin/esbuild`;
    const { devDependencies } = JSON.parse(readFileSync(`${ROOT}package.json`, "utf8"));
    const what = "browser bundle";
    await this.#table.row(name, what, `esbuild ${devDependencies.esbuild}`, () => {
      return bundleByEsbuild(project, node, esbuild);
    });
    const vite = this.#vite;
    if (vite === undefined) return;
    await this.#table.row(name, what, `Vite ${vite.version}`, () => bundleByVite(project, node, vite.path));
  }

  /** Imports the package on a runtime that is too old, which must name the version that is needed. */
  async #tryTooOld(runtime: RuntimeName, version: string): Promise<void> {
    const title = TITLES[runtime];
    await this.#table.row("too old", "import", `${title} ${version}`, async () => {
      const project = await this.#project(runtime, { node: this.#paths.node, [runtime]: pathOf(runtime, version) });
      project.write("import.js", 'import "@veltix/core";\n');
      if (runtime === "deno") await project.must("deno", ["add", `jsr:${jsrConfig().name}`]);
      else await addArchive(project, this.#archive());
      const args = { deno: ["run", "-A", "import.js"], bun: ["run", "import.js"], node: ["import.js"] };
      const why = `@veltix/core needs ${title} ${OLDEST[title]} or later, and this is ${title} ${version}`;
      await project.mustFail(runtime, args[runtime], why);
      return `needs ${title} ${OLDEST[title]}`;
    });
  }

  /** Installs the archive with a Node that is too old: npm reads `engines`. */
  async #tryEngines(version: string): Promise<void> {
    await this.#table.row("too old", "npm install --engine-strict", `Node ${version}`, async () => {
      const project = await this.#project("engines", { node: pathOf("node", version) });
      project.write("package.json", { private: true });
      const args = ["install", "--engine-strict", this.#archive()];
      await project.mustFail("npm", args, "EBADENGINE", `>=${OLDEST.Node}`);
    });
  }

  /** Writes the archive for npm, once. Returns its path. */
  #archive(): string {
    const path = join(this.#folder, "veltix-core.tgz");
    writeFileSync(path, writeArchive(npmForm(packed(this.#paths.deno, { maps: false }))));
    return path;
  }
}
