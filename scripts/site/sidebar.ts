/**
 * The navigation of the site. Groups and their order stand here, titles come from the pages. A new page goes into a group:
 * a test fails until it is in one.
 *
 * Runs on Deno, Bun and Node.
 *
 * @module
 */
import type { Page } from "./pages.ts";

/** An entry of the sidebar. */
export interface Entry {
  readonly text: string;
  readonly link: string;
}

/** A group of entries. */
export interface Group {
  readonly text: string;
  readonly collapsed: boolean;
  readonly items: readonly Entry[];
}

/** The page that leads to the API reference: it is made with the site. */
const API = "reference";

/** The groups. A name that ends with a star stands for all pages that begin so and are named nowhere else. */
const GROUPS: readonly { readonly text: string; readonly collapsed?: boolean; readonly pages: readonly string[] }[] = [
  { text: "Start", pages: ["getting-started", "install", "recipes", "faq"] },
  { text: "Tutorial", pages: ["tutorial/index", "tutorial/*"] },
  {
    text: "Guide",
    pages: [
      "guide/index",
      "guide/messages",
      "guide/requests",
      "guide/contracts",
      "guide/streams",
      "guide/groups",
      "guide/authentication",
      "guide/back-pressure",
      "guide/limits",
      "guide/reconnecting",
      "guide/resuming",
      "guide/closing",
      "guide/websockets",
      "guide/browsers",
      "guide/proxies",
      "guide/middleware",
      "guide/metadata",
      "guide/compression",
      "guide/listeners",
      "guide/transports",
      "workers",
    ],
  },
  { text: "Operate", pages: ["deploying", "security", "telemetry", "logging", "performance", "cli", "inspect"] },
  { text: "Reference", pages: [API, "events", "errors", "protocol", "architecture", "plugins", "testing"] },
  { text: "Coming from", pages: ["from-python", "interop", "from-socketio", "from-ws", "from-nats"] },
  { text: "Examples", collapsed: true, pages: ["examples/index", "examples/*"] },
  {
    text: "Project",
    collapsed: true,
    pages: ["roadmap", "project/changelog", "project/contributing", "releasing", "project/security", "project/*"],
  },
];

/** Short titles, where that of the page says more than a list of pages needs. */
const TITLES: Readonly<Record<string, string>> = {
  "guide/index": "Overview",
  "tutorial/index": "Overview",
  "examples/index": "Overview",
  "from-python": "Python's Veltix",
};

/**
 * The sidebar. The home page is not in it.
 *
 * @throws {Error} A group names a page that is not there.
 */
export function sidebarOf(pages: readonly Page[]): Group[] {
  const titles = new Map(pages.map(({ path, title }) => [nameOf(path), title]));
  const named = new Set(GROUPS.flatMap((group) => group.pages));
  const entry = (name: string): Entry => ({ text: TITLES[name] ?? titles.get(name)!, link: linkOf(name) });
  return GROUPS.map(({ text, collapsed = false, pages }) => {
    const items = pages.flatMap((name): Entry[] => {
      if (name === API) return [{ text: "API", link: linkOf(API) }];
      if (!name.endsWith("*")) {
        if (titles.has(name)) return [entry(name)];
        throw new Error(`The sidebar names ${name}, which is no page`);
      }
      const start = name.slice(0, -1);
      return [...titles.keys()].filter((other) => other.startsWith(start) && !named.has(other)).sort().map(entry);
    });
    return { text, collapsed, items };
  });
}

/** The address of a page in the site. */
export function linkOf(name: string): string {
  return `/${name}`.replace(/\/index$/, "/");
}

/** The name of a page: its path without the ending. */
export function nameOf(path: string): string {
  return path.replace(/\.md$/, "");
}
