/**
 * Check: the build that the next update goes to, and the folders of the service.
 *
 * @module
 */
import { resolveEntry } from "../../live/resolve.ts";
import { stateFolder } from "../../live/state_folder.ts";
import { size } from "../text.ts";
import { type Finding, note, ok, problem, warning } from "./finding.ts";
import { type Folder, lookAtFolder, refused } from "./folder.ts";
import { lookAt, type Service, type Subject } from "./subject.ts";

/** What is known of the build. */
export interface BuildFacts {
  /** What was asked about. */
  readonly path: string;
  /** Its entry module, or null. */
  readonly entry: string | null;
  /** Why it cannot be used, or null. */
  readonly reason: string | null;
  /** The folder of the entry module, through our own eyes: whoever asks is who deploys. */
  readonly folder: Folder | null;
}

/** What is known of the folders of the service. */
export interface FolderFacts {
  /** The folder for its state, `none` where no variable names one, null where we may not know. */
  readonly state: Folder | "none" | null;
  /** The folder of the control socket, or null without one. */
  readonly socket: Folder | null;
  /** The user of the service. */
  readonly uid: number;
}

/** Room for the copies of some builds, in bytes. */
const ENOUGH_BYTES = 64 * 1024 * 1024;
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/**
 * Looks at a build.
 *
 * @param path what was asked about, or else what the service runs; null: nothing is known
 */
export async function gatherBuild(path: string | null, subject: Subject | null): Promise<BuildFacts | null> {
  if (path === null) return null;
  const self = lookAt("self", false);
  try {
    const entry = await resolveEntry(path.startsWith("/") ? path : `${Deno.cwd()}/${path}`);
    const code = subject === null ? null : refused(subject, entry, ["read"]);
    const folder = self === null ? null : lookAtFolder(self, entry.slice(0, entry.lastIndexOf("/")) || "/");
    const reason = code === null ? null : `the service cannot read ${entry} (${code})`;
    return { path, entry, reason, folder };
  } catch (error) {
    return {
      path,
      entry: null,
      reason: error instanceof Error ? error.message : String(error),
      folder: null,
    };
  }
}

/** Looks at the folders. */
export function gatherFolders(socket: string, service: Service | null, subject: Subject | null): FolderFacts {
  const env = subject?.env ?? null;
  const nothing = { state: null, socket: null, uid: subject?.uid ?? Deno.uid() ?? 0 };
  if (subject === null || service === null) return nothing;
  const path = socket.startsWith("/") ? socket : `${Deno.cwd()}/${socket}`;
  const folder = env === null ? null : stateFolder(path, (name) => env.get(name));
  return {
    ...nothing,
    state: env === null ? null : folder === null ? "none" : lookAtFolder(subject, folder),
    socket: lookAtFolder(subject, path.slice(0, path.lastIndexOf("/")) || "/"),
  };
}

/** Judges a build. */
export function checkBuild(facts: BuildFacts | null): Finding[] {
  if (facts === null) return [];
  const { path, entry, reason, folder } = facts;
  if (entry === null || reason !== null) {
    return [
      problem("build", reason ?? `${path} is no build`, "Repair it, then heirloom check --build tells more."),
    ];
  }
  const findings = [ok("build", `${entry} can be read`)];
  if (folder === null) return findings;
  findings.push(
    folder.refused === null
      ? ok("deploy", `the next release can be put in place in ${folder.path} by rename`)
      : note(
        "deploy",
        `${folder.path} cannot be written by you (${folder.refused}): the next release is somebody else's to put in place`,
      ),
  );
  if (((folder.mode ?? 0) & OTHERS_WRITE) !== 0 && ((folder.mode ?? 0) & STICKY) === 0) {
    findings.push(
      warning(
        "build_writers",
        `${folder.path} can be written by others than its owner (mode ${
          octal(folder)
        }): they decide what runs next`,
        `chmod go-w ${folder.path}`,
      ),
    );
  }
  return findings;
}

/** Judges the folders. */
export function checkFolders({ state, socket, uid }: FolderFacts): Finding[] {
  return [
    ...(state === null ? [] : checkState(state, uid)),
    ...(socket === null ? [] : [checkSocket(socket, uid)]),
  ];
}

function checkState(state: Folder | "none", uid: number): Finding[] {
  if (state === "none") {
    return [
      warning(
        "state_directory",
        "there is no state directory: once a file of the build is changed on disk, updates are refused",
        "Set STATE_DIRECTORY (StateDirectory= in the unit), XDG_STATE_HOME or HOME, and start the service anew.",
      ),
    ];
  }
  const { path, mode, refused, freeBytes, exists } = state;
  const findings: Finding[] = [];
  if (refused !== null) {
    findings.push(
      warning(
        "state_directory",
        `the state directory ${path} cannot be written by the service (${refused})`,
        "Make it writable: copies of the running build are kept there, for the case that it is edited in place.",
      ),
    );
  } else if (exists && (((mode ?? 0) & OTHERS) !== 0 || (state.uid !== uid && uid !== 0))) {
    findings.push(
      warning(
        "state_directory",
        `the state directory ${path} is open to others (mode ${octal(state)}, user ${state.uid})`,
        `chmod 0700 ${path}: what is in it may be executed.`,
      ),
    );
  } else findings.push(ok("state_directory", `the state directory is ${path}`));
  if (freeBytes !== null) {
    const what = `${size(freeBytes)} free for copies of builds`;
    findings.push(
      freeBytes >= ENOUGH_BYTES ? ok("state_space", what) : warning(
        "state_space",
        `only ${what}`,
        "Free some space: without a copy, a build that is edited in place refuses updates.",
      ),
    );
  }
  return findings;
}

function checkSocket(folder: Folder, uid: number): Finding {
  const { path, mode } = folder;
  const shown = `the folder of the control socket, ${path}`;
  if (((mode ?? 0) & OTHERS_WRITE) !== 0 && ((mode ?? 0) & STICKY) === 0) {
    return warning(
      "control_folder",
      `${shown}, can be written by others (mode ${octal(folder)})`,
      `chmod 0700 ${path}`,
    );
  }
  if (folder.uid !== uid && folder.uid !== 0) {
    return warning("control_folder", `${shown}, belongs to user ${folder.uid}`, `chown it to user ${uid}.`);
  }
  return ((mode ?? 0) & OTHERS) === 0 ? ok("control_folder", `${shown}, has mode ${octal(folder)}`) : note(
    "control_folder",
    `${shown}, has mode ${octal(folder)}`,
    "0700 is enough; the socket itself has 0600.",
  );
}

function octal({ mode }: Folder): string {
  return mode === null ? "-" : `0${mode.toString(8)}`;
}
