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
  getCloexec,
  getLimit,
  type LimitName,
  listFds,
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

  const inheritable = listFds().filter((fd) => fd > 2 && !isCloexec(fd));
  closeOnExecFrom(3);
  undo.defer(() => inheritable.forEach((fd) => setCloexec(fd, false)));
  for (const fd of plan.crossing) {
    setCloexec(fd, false);
    undo.defer(() => setCloexec(fd, true));
  }

  const announcement = new TextEncoder().encode(formatAnnouncement(plan.announcement));
  execve(image.exec, image.argv, [...image.env, announcement]);
}

/** A descriptor that another thread closed in the meantime needs nothing. */
function isCloexec(fd: number): boolean {
  try {
    return getCloexec(fd);
  } catch (error) {
    if (error instanceof SysError && error.code === "EBADF") return true;
    throw error;
  }
}
