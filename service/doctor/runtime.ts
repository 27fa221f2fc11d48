/**
 * Check: the runtime of the service, its file, and its cache.
 *
 * @module
 */
import { type Finding, note, ok, warning } from "./finding.ts";
import { type Folder, lookAtFolder } from "./folder.ts";
import type { Subject } from "./subject.ts";

/** The version with which everything was measured. */
const MEASURED = "2.9.6";

/** What is known of the runtime. */
export interface RuntimeFacts {
  /** Its version, or null. */
  readonly version: string | null;
  /** Its path, or null where we may not know. */
  readonly path: string | null;
  /** Is there another file at that path now (`replaced`), or none (`gone`)? */
  readonly file: "same" | "replaced" | "gone";
  /** `DENO_DIR`, or null where it is not known. */
  readonly cache: Folder | null;
}

/** Looks at the runtime. */
export async function gatherRuntime(subject: Subject | null): Promise<RuntimeFacts> {
  const path = subject === null ? null : linkOf(`${subject.proc}/exe`);
  const version = path === null
    ? null
    : path === Deno.execPath()
    ? Deno.version.deno
    : await versionOf(subject);
  const folder = subject === null ? null : cacheFolder(subject.env);
  return {
    version,
    path: path?.replace(/ \(deleted\)$/, "") ?? null,
    file: path === null ? "same" : fileAt(path, `${subject?.proc}/exe`),
    cache: folder === null || subject === null ? null : lookAtFolder(subject, folder),
  };
}

/** Judges it. */
export function checkRuntime({ version, path, file, cache }: RuntimeFacts): Finding[] {
  const findings: Finding[] = [];
  if (version === MEASURED) findings.push(ok("runtime_version", `Deno ${version}`));
  else if (version !== null) {
    findings.push(
      note(
        "runtime_version",
        `Deno ${version}: everything was measured with ${MEASURED}`,
        "Try an update first.",
      ),
    );
  }
  if (path !== null) findings.push(checkFile(path, file));
  if (cache !== null) findings.push(checkCache(cache));
  return findings;
}

function checkFile(path: string, file: RuntimeFacts["file"]): Finding {
  switch (file) {
    case "same":
      return ok("runtime_file", `${path} is the file that runs`);
    case "replaced":
      return note(
        "runtime_file",
        `${path} is another file than the one that runs: the next update starts that one`,
        "If that is not meant, name the old one with --deno. The way back leads to the one that runs.",
      );
    case "gone":
      return warning(
        "runtime_file",
        `${path} is gone: the next update cannot start it`,
        "Put it back, or name another runtime with --deno.",
      );
  }
}

function checkCache({ path, refused }: Folder): Finding {
  return refused === null ? ok("deno_dir", `${path} can be written`) : warning(
    "deno_dir",
    `the cache of the runtime, ${path}, cannot be written (${refused})`,
    "Set DENO_DIR to a folder of the service: without it, modules are compiled anew in the pause of every update.",
  );
}

function cacheFolder(env: ReadonlyMap<string, string> | null): string | null {
  if (env === null) return null;
  const [own, cache, home] = ["DENO_DIR", "XDG_CACHE_HOME", "HOME"].map((name) => env.get(name) || null);
  if (own?.startsWith("/")) return own;
  if (own !== null) return null;
  if (cache !== null) return `${cache}/deno`;
  return home === null ? null : `${home}/.cache/deno`;
}

async function versionOf(subject: Subject | null): Promise<string | null> {
  if (subject === null) return null;
  try {
    const child = new Deno.Command(`${subject.proc}/exe`, {
      args: ["--version"],
      env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
      stdin: "null",
      stderr: "null",
      signal: AbortSignal.timeout(5000),
    });
    const { stdout } = await child.output();
    return /^deno (\S+)/.exec(new TextDecoder().decode(stdout))?.[1] ?? null;
  } catch {
    return null;
  }
}

function fileAt(link: string, exe: string): RuntimeFacts["file"] {
  try {
    const running = Deno.statSync(exe);
    const found = Deno.statSync(link.replace(/ \(deleted\)$/, ""));
    return running.dev === found.dev && running.ino === found.ino ? "same" : "replaced";
  } catch {
    return "gone";
  }
}

function linkOf(path: string): string | null {
  try {
    return Deno.readLinkSync(path);
  } catch {
    return null;
  }
}
