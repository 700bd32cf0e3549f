/**
 * The links of the built site: what they lead to is there, anchors included, and nothing is loaded from elsewhere.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";

/** `deno doc` links the names in mapped types to anchors that it does not make. */
const UNMADE_ANCHOR = /^type_param_/;

/** The files of HTML in a folder, by their paths there. */
export function htmlFiles(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[])
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => path.endsWith(".html")).sort();
}

/** Finds what is wrong with the links of files. */
export class LinkChecker {
  readonly #folder: string;
  readonly #files = new Map<string, { readonly ids: Set<string>; readonly html: string }>();

  /** @param folder The folder of the site; ends with a slash. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** What is wrong with a file: each link that leads nowhere, and each file that would be loaded from elsewhere. */
  problemsOf(file: string): string[] {
    const { html } = this.#read(file);
    const links = [...html.matchAll(/<(a|link|script|img|source)\b[^>]*?\s(?:href|src)="([^"]*)"/g)]
      .map(([, element, href]) => ({ element, href: unescape(href) }));
    return [...new Set(links.flatMap(({ element, href }) => this.#problemOf(file, element, href) ?? []))];
  }

  #problemOf(file: string, element: string, href: string): string | undefined {
    if (href.startsWith("data:")) return undefined;
    if (/^([a-z]+:|\/\/)/.test(href)) return element === "a" ? undefined : `loads ${href}`;
    const [path, anchor = ""] = href.split("#");
    const target = this.#targetOf(file, decodeURI(path.split("?")[0]));
    if (!existsSync(this.#folder + target)) return `${href} leads nowhere`;
    if (anchor === "" || !target.endsWith(".html") || UNMADE_ANCHOR.test(anchor)) return undefined;
    return this.#read(target).ids.has(decodeURIComponent(anchor)) ? undefined : `${href} has no such anchor`;
  }

  #targetOf(file: string, path: string): string {
    if (path === "") return file;
    const target = path.startsWith("/") ? path.slice(1) : posix.join(posix.dirname(file), path);
    return target === "" || target === "." || target.endsWith("/") ? posix.join(target, "index.html") : target;
  }

  #read(file: string): { readonly ids: Set<string>; readonly html: string } {
    const known = this.#files.get(file);
    if (known !== undefined) return known;
    const html = readFileSync(this.#folder + file, "utf8");
    const ids = new Set([...html.matchAll(/\s(?:id|name)="([^"]*)"/g)].map(([, id]) => unescape(id)));
    const read = { html, ids };
    this.#files.set(file, read);
    return read;
  }
}

function unescape(text: string): string {
  return text.replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&#x2F;", "/").replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&amp;", "&");
}
