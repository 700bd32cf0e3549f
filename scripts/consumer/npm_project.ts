/**
 * Projects of Node and Bun, which have the package from the registry as npm's packages.
 *
 * @module
 */
import { jsrConfig } from "./package_forms.ts";
import { folderSize, type Project } from "./project.ts";
import { size } from "./table.ts";

/** Adds the package to a project by JSR's own program, as README.md says. Returns how large `node_modules` is. */
export async function addToNode(project: Project, registry: string): Promise<string> {
  prepare(project, registry);
  await project.must("npx", ["-y", "jsr", "add", jsrConfig().name]);
  return installed(project);
}

/** As {@linkcode addToNode}, with Bun. */
export async function addToBun(project: Project, registry: string): Promise<string> {
  prepare(project, registry);
  await project.must("bunx", ["jsr", "add", jsrConfig().name]);
  return installed(project);
}

/** Adds the package to a project as npm's own registry would have it: an archive. */
export async function addArchive(project: Project, path: string): Promise<string> {
  project.write("package.json", { private: true, type: "module" });
  await project.must("npm", ["install", "--no-audit", "--no-fund", path]);
  return installed(project);
}

/** JSR's program leaves a file `.npmrc` alone if it says already where the packages of `@jsr` are. */
function prepare(project: Project, registry: string): void {
  project.write("package.json", { private: true, type: "module" });
  project.write(".npmrc", `@jsr:registry=${registry}\n`);
}

function installed(project: Project): string {
  const own = folderSize(`${project.folder}/node_modules/${jsrConfig().name}`);
  const all = folderSize(`${project.folder}/node_modules`);
  return `package ${size(own.bytes)}, ${own.files} files; node_modules ${size(all.bytes)}`;
}
