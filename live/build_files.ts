/**
 * The files that a build consists of, as far as its way back needs them.
 *
 * @module
 */
import { digestOf, sha256 } from "../kho/digest.ts";
import type { ModuleGraph } from "../kho/load.ts";
import { normalize } from "../kho/snapshot_copy.ts";
import { Stamps } from "../kho/stamps.ts";
import { configFiles, lockFileOf } from "./launch.ts";
import type { Self } from "./self.ts";

/** The files of a build: the application's, those of the Heirloom that boots it, and those of its guardian. */
export interface BuildFiles {
  /** Paths of all local modules. */
  modules: string[];
  /** Paths of configurations, lock files and import maps. */
  configs: string[];
  /** The folders that the build was deployed as. */
  roots: string[];
  /** What all of them looked like. */
  stamps: Stamps;
  /** The modules as they were found: of the build, of its Heirloom, of its guardian. */
  graphs: string[][];
  /** The same for the same content of all of them, wherever they are. */
  key: string;
  /** The SHA-256 of what a file contained when it was looked at; for one that was not there, what no content has. */
  expect(path: string): string | undefined;
}

/**
 * Looks at the files of a build.
 *
 * @param self the build
 * @param graphs its modules, those of the Heirloom that boots it, and those of its guardian
 */
export async function filesOf(self: Self, graphs: readonly ModuleGraph[]): Promise<BuildFiles> {
  const { image, spec } = self;
  const modules = [...new Set(graphs.flatMap((graph) => graph.modules))];
  const own = spec === null ? [] : configFiles(spec.heirloom);
  const lock = image.config === null ? null : lockFileOf(image.config);
  const configs = [image.config, lock, ...configFiles(image.entry), ...own].filter((path) => path !== null);
  const roots = [image.config ?? image.entry, image.entry, ...(spec === null ? [] : [spec.heirloom])];
  const all = [...new Set(configs)];
  const digests = new Map(graphs.flatMap((graph) => [...graph.digests]));
  const content: string[] = [];
  for (const path of all) {
    // One that cannot be read cannot be copied either: that says so.
    const digest = digests.get(path) ?? await digestOf(path).catch(() => "unreadable");
    content.push(digest);
    digests.set(path, digest);
  }
  const byPath = new Map([...digests].map(([path, digest]) => [normalize(path), digest]));
  return {
    modules,
    configs: all,
    roots: [...new Set(roots.map(folderOf))],
    stamps: await Stamps.capture([...modules, ...all]),
    graphs: graphs.map((graph) => graph.modules),
    key: await keyOf(graphs, content),
    expect: (path) => byPath.get(path),
  };
}

/** What two builds must have in common to have the same snapshot: all that is copied. */
function keyOf(graphs: readonly ModuleGraph[], configs: readonly string[]): Promise<string> {
  const parts = [...graphs.map(({ fingerprint }) => fingerprint), ...configs];
  return sha256(new TextEncoder().encode(parts.join("\n")));
}

function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/")) || "/";
}
