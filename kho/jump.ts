/**
 * The jump: `execve` of another image in this process, with exactly the descriptors that have to cross.
 *
 * Happy path: signals are blocked, limits, mask and directory are those of the cold start, every descriptor gets
 * CLOEXEC except 0 to 2 and those that cross, and `execve` does not return.
 *
 * Unhappy path: `execve` returns (the runtime is gone, is not executable, the arguments are too long). Then every step
 * is undone in reverse order, and the error says why. The process goes on as if nothing had been tried.
 *
 * Other threads end without clean-up at the jump, and so does whatever they were doing (execve(2)).
 *
 * @module
 */
import {
  blockForExec,
  changeDirectory,
  closeOnExecFrom,
  currentDirectory,
  execve,
  fstat,
  getLimit,
  inheritableFds,
  type LimitName,
  setCloexec,
  setLimit,
  setMask,
  setUmask,
  SysError,
} from "../sys/mod.ts";
import { type Announcement, formatAnnouncement } from "./abi/announcement.ts";
import type { ImageRecord } from "./abi/image.ts";

/** What to jump to, and with what. */
export interface JumpPlan {
  /** The build to start. */
  image: ImageRecord;
  /** How the segment is announced to it. */
  announcement: Announcement;
  /** Descriptors that cross, the segment among them; 0 to 2 always do. */
  crossing: readonly number[];
  /** The runtime of the build, held open since it was there: its file may have been replaced. Null to go by its path. */
  runtime?: number | null;
}

/**
 * Replaces the running image.
 *
 * @param plan the image and the descriptors
 * @throws {SysError} what `execve` or a step before it answered; everything is undone then
 */
export function jump(plan: JumpPlan): never {
  const { image } = plan;
  using undo = new DisposableStack();

  const mask = blockForExec();
  undo.defer(() => setMask(mask));

  const directory = currentDirectory();
  changeDirectory(image.cwd);
  undo.defer(() => changeDirectory(directory));

  const umask = setUmask(image.umask);
  undo.defer(() => setUmask(umask));

  for (const { name, soft, hard } of image.limits) {
    const before = getLimit(name as LimitName);
    if (before.soft === soft && before.hard === hard) continue;
    setLimit(name as LimitName, { soft, hard });
    undo.defer(() => setLimit(name as LimitName, before));
  }

  const inheritable = inheritableNow().filter((fd) => fd > 2);
  closeOnExecFrom(3);
  undo.defer(() => {
    closeOnExecFrom(3);
    inheritable.forEach((fd) => setCloexec(fd, false));
  });
  for (const fd of plan.crossing) setCloexec(fd, false);

  const announcement = new TextEncoder().encode(formatAnnouncement(plan.announcement));
  execve(runtimePath(image.exec, plan.runtime ?? null), image.argv, [...image.env, announcement]);
}

/**
 * The path to start a runtime by.
 *
 * @param path where it was
 * @param fd the runtime, held open since, or null
 * @param pid the process that holds it, if another one is to start it
 * @returns the path while it leads to the same file, or else the open file itself, which the kernel executes although it
 * has no name any more (proc(5), `/proc/PID/fd`)
 */
export function runtimePath(path: string, fd: number | null, pid?: number): string {
  if (fd === null) return path;
  const { dev, ino } = fstat(fd);
  try {
    const found = Deno.statSync(path);
    if (BigInt(found.dev) === dev && BigInt(found.ino ?? 0) === ino) return path;
  } catch {
    // It is gone.
  }
  return `/proc/${pid ?? "self"}/fd/${fd}`;
}

/** Whoever has no descriptor left to look with can jump all the same: the list only serves the undoing. */
function inheritableNow(): number[] {
  try {
    return inheritableFds();
  } catch (error) {
    if (error instanceof SysError && (error.code === "EMFILE" || error.code === "ENFILE")) return [];
    throw error;
  }
}
