/**
 * A registry on 127.0.0.1 that takes a package from `deno publish` and serves it as JSR does: to Deno as `jsr.io`
 * (see <https://jsr.io/docs/api>), and to npm and Bun as `npm.jsr.io`.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { npmName } from "./package_forms.ts";
import { type Files, readTar, writeArchive } from "./tar.ts";

/** What the registry answers. */
type Answer = { readonly type: string; readonly body: Uint8Array | string } | undefined;

/** A package with a version, in the form of Deno and in the form of npm. */
interface Release {
  readonly name: string;
  readonly version: string;
  readonly files: Files;
  readonly exports: Record<string, string>;
}

const JSON_TYPE = "application/json";

/** The registry, while it runs. */
export class Registry {
  readonly #server: Server;
  #release: Release | undefined;
  #npm: { readonly tarball: Uint8Array; readonly dependencies: Record<string, string> } | undefined;

  /** Starts a registry at a free port. */
  static async start(): Promise<Registry> {
    const registry = new Registry();
    await new Promise<void>((resolve, reject) => {
      registry.#server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    return registry;
  }

  constructor() {
    this.#server = createServer((request, response) => {
      this.#respond(request, response).catch((error) => {
        response.writeHead(500).end(String(error));
      });
    });
  }

  /** Its URL, with a slash at the end. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** The files that were published. */
  get published(): Files {
    if (this.#release === undefined) throw new Error("Nothing has been published");
    return this.#release.files;
  }

  /** Serves a form of what was published to npm and Bun. */
  serveNpm(files: Files): void {
    const { dependencies } = JSON.parse(new TextDecoder().decode(files.get("package.json")));
    this.#npm = { tarball: writeArchive(files), dependencies };
  }

  /** Stops it. */
  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(request.url!, this.url).pathname);
    const answer = request.method === "POST" ? await this.#publish(path, request) : this.#get(path);
    const headers = { "content-type": answer?.type ?? "text/plain", "cache-control": "no-store" };
    response.writeHead(answer === undefined ? 404 : 200, headers).end(answer?.body ?? "not found");
  }

  /** What `deno publish` asks for: it uploads a version, and hears that all went well. */
  async #publish(path: string, request: IncomingMessage): Promise<Answer> {
    const [, scope, name, version] = /^\/api\/scopes\/([^/]+)\/packages\/([^/]+)\/versions\/([^/]+)$/.exec(path) ?? [];
    if (version === undefined) return undefined;
    const chunks: Uint8Array[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const files = readTar(Buffer.concat(chunks));
    const { exports } = JSON.parse(new TextDecoder().decode(files.get("jsr.json")));
    this.#release = { name: `@${scope}/${name}`, version, files, exports };
    return json({ id: "1", status: "success" });
  }

  #get(path: string): Answer {
    // `deno publish` asks whether there is such a package, and whether there is such a version of it.
    if (/^\/api\/scopes\/[^/]+\/packages\/[^/]+$/.test(path)) return json({});
    if (this.#release === undefined || this.#npm === undefined) return undefined;
    const { name, version, files } = this.#release;
    if (path === `/${name}/meta.json`) return json(this.#meta(this.#release));
    if (path === `/${name}/${version}_meta.json`) return json(this.#versionMeta(this.#release));
    if (path === `/${npmName({ name })}`) return json(this.#packument(this.#release));
    if (path === this.#tarballPath(this.#release)) {
      return { type: "application/octet-stream", body: this.#npm.tarball };
    }
    const content = files.get(path.slice(`/${name}/${version}/`.length));
    if (content === undefined || !path.startsWith(`/${name}/${version}/`)) return undefined;
    return { type: path.endsWith(".ts") ? "text/typescript" : "text/plain", body: content };
  }

  #meta({ name, version }: Release): object {
    const [scope, short] = name.slice(1).split("/");
    return { scope, name: short, latest: version, versions: { [version]: {} } };
  }

  #versionMeta({ files, exports }: Release): object {
    const manifest = Object.fromEntries(
      [...files].map(([path, content]) => {
        const checksum = `sha256-${createHash("sha256").update(content).digest("hex")}`;
        return [`/${path}`, { size: content.length, checksum }];
      }),
    );
    return { manifest, exports };
  }

  #packument(release: Release): object {
    const { tarball, dependencies } = this.#npm!;
    const name = npmName(release);
    const { version } = release;
    const dist = {
      tarball: new URL(this.#tarballPath(release).slice(1), this.url).href,
      shasum: createHash("sha1").update(tarball).digest("hex"),
      integrity: `sha512-${createHash("sha512").update(tarball).digest("base64")}`,
    };
    return {
      name,
      description: "",
      "dist-tags": { latest: version },
      versions: { [version]: { name, version, description: "", dist, dependencies } },
      time: {},
    };
  }

  #tarballPath(release: Release): string {
    return `/~/11/${npmName(release)}/${release.version}.tgz`;
  }
}

function json(value: object): Answer {
  return { type: JSON_TYPE, body: JSON.stringify(value) };
}
