/**
 * The words of inotify(7), without `IN_`.
 *
 * @module
 */
import { INOTIFY } from "../../sys/inotify.ts";

/** What can be watched for, and how: inotify(7) without `IN_`. */
export type WatchFlag =
  | "access"
  | "modify"
  | "attrib"
  | "close_write"
  | "close_nowrite"
  | "open"
  | "moved_from"
  | "moved_to"
  | "create"
  | "delete"
  | "delete_self"
  | "move_self"
  | "onlydir"
  | "dont_follow"
  | "excl_unlink"
  | "oneshot";

/** What can be told of an event. */
export type WatchEventName =
  | Exclude<WatchFlag, "onlydir" | "dont_follow" | "excl_unlink" | "oneshot">
  | "unmount"
  | "q_overflow"
  | "ignored"
  | "isdir";

/** What can happen to a file or in a directory. */
const HAPPENINGS = {
  access: INOTIFY.ACCESS,
  modify: INOTIFY.MODIFY,
  attrib: INOTIFY.ATTRIB,
  close_write: INOTIFY.CLOSE_WRITE,
  close_nowrite: INOTIFY.CLOSE_NOWRITE,
  open: INOTIFY.OPEN,
  moved_from: INOTIFY.MOVED_FROM,
  moved_to: INOTIFY.MOVED_TO,
  create: INOTIFY.CREATE,
  delete: INOTIFY.DELETE,
  delete_self: INOTIFY.DELETE_SELF,
  move_self: INOTIFY.MOVE_SELF,
} as const;

/** The bits of what an event says. */
export const WATCH_EVENTS: Readonly<Record<WatchEventName, number>> = {
  ...HAPPENINGS,
  unmount: INOTIFY.UNMOUNT,
  q_overflow: INOTIFY.Q_OVERFLOW,
  ignored: INOTIFY.IGNORED,
  isdir: INOTIFY.ISDIR,
};

/** The bits of what can be asked for. */
export const WATCH_FLAGS: Readonly<Record<WatchFlag, number>> = {
  ...HAPPENINGS,
  onlydir: INOTIFY.ONLYDIR,
  dont_follow: INOTIFY.DONT_FOLLOW,
  excl_unlink: INOTIFY.EXCL_UNLINK,
  oneshot: INOTIFY.ONESHOT,
};
