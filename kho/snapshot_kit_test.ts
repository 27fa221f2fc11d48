/**
 * What the tests of snapshots share: a build to take them of. It has no tests itself; the name keeps it out of the published
 * package.
 *
 * @module
 */
import { type TempDir, tempDir } from "../testing/wait.ts";
import { type Snapshot, Snapshots } from "./snapshot.ts";

/** Two fingerprints. */
export const ONE = "1".repeat(64);
export const TWO = "2".repeat(64);

/** A folder with files, symlinks (`-> target`) and folders (a name with a slash at its end). */
function writeTree(files: Record<string, string>): TempDir {
  const directory = tempDir("heirloom-snapshot-");
  for (const [name, text] of Object.entries(files)) {
    const path = `${directory.path}/${name}`;
    Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
    if (text.startsWith("-> ")) Deno.symlinkSync(text.slice(3), path);
    else if (!name.endsWith("/")) Deno.writeTextFileSync(path, text);
  }
  return directory;
}

/** A build and what lies around it. */
export const APP = {
  "app/main.ts": "main",
  "app/lib/deep/one.ts": "one",
  "app/lib/notes.txt": "notes",
  "app/deno.json": "{}",
  "app/static/logo.svg": "logo",
  "app/other.ts": "other",
  "app/dangling": "-> nowhere",
  "near.txt": "near",
};

/** A build, and the snapshots of it. */
export interface Place extends AsyncDisposable {
  path: string;
  folder: string;
  snapshots: Snapshots;
  /** Takes a snapshot of these modules below `path`, with `app` as the root. */
  take(fingerprint: string, modules?: string[], configs?: string[]): Promise<Snapshot>;
}

/** Makes a place from files; the build is in `app/`. */
export function makePlace(files: Record<string, string> = APP): Place {
  const directory = writeTree(files);
  const { path } = directory;
  const folder = `${path}/state/builds`;
  const snapshots = new Snapshots(folder);
  const within = (name: string): string => `${path}/${name}`;
  return {
    path,
    folder,
    snapshots,
    take: (fingerprint, modules = ["app/main.ts", "app/lib/deep/one.ts"], configs = ["app/deno.json"]) =>
      snapshots.take(fingerprint, {
        modules: modules.map(within),
        configs: configs.map(within),
        roots: [within("app")],
      }),
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

/** The names in a folder. */
export function names(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), ({ name }) => name).sort();
}

/** What is in a folder of a snapshot: the content of copies, the targets of links. */
export function contents(folder: string): Record<string, string> {
  return Object.fromEntries(
    Array.from(Deno.readDirSync(folder), (entry) => {
      const path = `${folder}/${entry.name}`;
      const what = entry.isSymlink
        ? `-> ${Deno.readLinkSync(path)}`
        : entry.isFile
        ? Deno.readTextFileSync(path)
        : "folder";
      return [entry.name, what] as const;
    }).sort(),
  );
}
