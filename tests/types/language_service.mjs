/**
 * Asks TypeScript's language service about programs, as an editor does. Run by Node, with the questions as JSON on the
 * standard input. Prints the answers as JSON.
 *
 * `root` is the folder of the repository. Each of the `programs` has its `source`, which is taken for a file beside this
 * one, and `at`, positions in it. The answer to each has its `diagnostics`, and for each position the `definitions`, the
 * `references`, the `hover` and the `completions`.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { root, programs } = JSON.parse(readFileSync(0, "utf8"));
const { default: ts } = await import(pathToFileURL(`${root}node_modules/typescript/lib/typescript.js`).href);

const file = `${root}tests/types/program.ts`;
const options = {
  strict: true,
  allowImportingTsExtensions: true,
  noEmit: true,
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.NodeNext,
  lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.asynciterable.d.ts"],
  types: [],
};
/** The program that is asked about. */
let source = "";
let version = 0;
const read = (name) => name === file ? source : existsSync(name) ? readFileSync(name, "utf8") : undefined;
const service = ts.createLanguageService({
  getScriptFileNames: () => [file],
  getScriptVersion: (name) => name === file ? `${version}` : "1",
  getScriptSnapshot: (name) => {
    const text = read(name);
    return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
  },
  getCurrentDirectory: () => root,
  getCompilationSettings: () => options,
  getDefaultLibFileName: (all) => ts.getDefaultLibFilePath(all),
  fileExists: (name) => name === file || ts.sys.fileExists(name),
  readFile: read,
  directoryExists: ts.sys.directoryExists,
  getDirectories: ts.sys.getDirectories,
});

const place = ({ fileName, textSpan }) => ({ file: fileName, start: textSpan.start, own: fileName === file });
/** Returns what an editor tells about a position. */
const answer = (position) => {
  const info = service.getQuickInfoAtPosition(file, position);
  return {
    definitions: (service.getDefinitionAtPosition(file, position) ?? []).map(place),
    references: (service.getReferencesAtPosition(file, position) ?? []).map(place),
    hover: `${ts.displayPartsToString(info?.displayParts)}\n${ts.displayPartsToString(info?.documentation)}`,
    completions: service.getCompletionsAtPosition(file, position, {})?.entries.map(({ name }) => name) ?? [],
  };
};

const told = programs.map((program) => {
  source = program.source;
  version++;
  const faults = [...service.getSyntacticDiagnostics(file), ...service.getSemanticDiagnostics(file)];
  const diagnostics = faults.map(({ start, length, messageText }) => ({
    start,
    at: source.slice(start, start + length),
    message: ts.flattenDiagnosticMessageText(messageText, "\n"),
  }));
  return { diagnostics, answers: program.at.map(answer) };
});
console.log(JSON.stringify({ version: ts.version, told }));
