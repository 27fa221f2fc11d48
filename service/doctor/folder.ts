/**
 * May somebody write a folder, or read a file? Asked for the process of the service, which may have another user than the
 * one who asks, and another view of the filesystems.
 *
 * Happy path: the user is ours: the kernel is asked, which knows of everything.
 *
 * Unhappy path: root asks for another user: owner, group and mode of everything on the way decide, and read-only mounts.
 * Access control lists are not looked at then.
 *
 * @module
 */
import { statfsSync } from "node:fs";

import { fdInfo, openFile } from "../../sys/mod.ts";
import { type Access, refusedAccess } from "../../sys/probe.ts";
import { parseMounts, readText } from "./proc_text.ts";
import type { Subject } from "./subject.ts";

/** A folder that may not be there yet. */
export interface Folder {
  /** Its path, as the service sees it. */
  readonly path: string;
  /** Is it there? Otherwise `refused` is about the nearest folder that is, in which it would be made. */
  readonly exists: boolean;
  /** Permission bits, or null when it is not there. */
  readonly mode: number | null;
  /** Its owner, or null when it is not there. */
  readonly uid: number | null;
  /** Why the service cannot write it, or null. */
  readonly refused: string | null;
  /** Bytes that are free there, or null where that is not known. */
  readonly freeBytes: number | null;
}

const BITS: Readonly<Record<Access, number>> = { read: 4, write: 2, execute: 1 };

/** Looks at a folder through the eyes of a process. */
export function lookAtFolder(subject: Subject, path: string): Folder {
  const own = statOf(seen(subject, path));
  let there = path;
  while (there !== "/" && statOf(seen(subject, there)) === null) there = parentOf(there);
  return {
    path,
    exists: own !== null,
    mode: own === null ? null : (own.mode ?? 0) & 0o7777,
    uid: own?.uid ?? null,
    refused: refused(subject, there, ["write", "execute"]),
    freeBytes: freeBytes(seen(subject, there)),
  };
}

/**
 * Why a process may not do that.
 *
 * @param subject the process
 * @param path what it is about
 * @param wanted what it wants
 * @returns the name of the error, or null when it may
 */
export function refused(subject: Subject, path: string, wanted: readonly Access[]): string | null {
  const own = subject.uid === Deno.uid();
  if (own) {
    return wanted.map((each) => refusedAccess(seen(subject, path), each)).find((each) => each !== null) ??
      null;
  }
  const folders = path.split("/").slice(0, -1).map((_, at, all) => all.slice(0, at + 1).join("/") || "/");
  for (const folder of folders) {
    const code = byMode(subject, folder, "execute");
    if (code !== null) return code;
  }
  const code = wanted.map((each) => byMode(subject, path, each)).find((each) => each !== null) ?? null;
  if (code !== null || !wanted.includes("write")) return code;
  return isReadOnly(subject, path) ? "EROFS" : null;
}

/** Links on the way lead where they lead the process, so the open file itself is asked which mount it is on. */
function isReadOnly(subject: Subject, path: string): boolean {
  const mounts = parseMounts(readText(`${subject.proc}/mountinfo`) ?? "");
  try {
    using file = openFile(seen(subject, path), { path: true });
    const id = Number(fdInfo(file.fd).get("mnt_id"));
    return mounts.find((mount) => mount.id === id)?.options.includes("ro") ?? false;
  } catch {
    return false;
  }
}

function byMode(subject: Subject, path: string, access: Access): string | null {
  const stat = statOf(seen(subject, path));
  if (stat === null) return "ENOENT";
  if (subject.uid === 0) return null;
  const shift = stat.uid === subject.uid ? 6 : subject.gids.includes(stat.gid ?? -1) ? 3 : 0;
  return (((stat.mode ?? 0) >> shift) & BITS[access]) !== 0 ? null : "EACCES";
}

/** The path as the process sees it: it may have filesystems of its own. */
function seen(subject: Subject, path: string): string {
  if (!subject.isService) return path;
  const through = `${subject.proc}/root${path}`;
  return statOf(`${subject.proc}/root/.`) === null ? path : through;
}

function statOf(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch {
    return null;
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf("/")));
}

function freeBytes(path: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(path);
    return Number(bavail) * Number(bsize);
  } catch {
    return null;
  }
}
