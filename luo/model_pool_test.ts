/**
 * The files of the property tests: six memfds, each opened twice, made once for all sequences.
 *
 * @module
 */
import { createMemfd, openFile, type OwnedFd, sameOpenFile } from "../sys/mod.ts";

const PREFIX = "model-";

/** All openings by the names that operations have for them: `0`, `0 again` and so on. */
const openings = new Map<string, OwnedFd>();

/** Makes the files, unless they are there. */
export function fillPool(): void {
  for (let index = openings.size; index < 12; index++) {
    const file = index % 6;
    const first = openings.get(`${file}`);
    if (first === undefined) openings.set(`${file}`, createMemfd(`${PREFIX}${file}`));
    else openings.set(`${file} again`, openFile(`/proc/self/fd/${first.fd}`, { read: true, write: true }));
  }
}

/** A new descriptor as an operation names it; the caller's. */
export function openFromPool(name: string): OwnedFd {
  if (name === "path" || name === "null") return openFile("/dev/null", { path: name === "path" });
  const opening = openings.get(name);
  if (opening === undefined) throw new RangeError(`no file is called "${name}"`);
  return opening.dup();
}

/** The number of a descriptor that was closed. */
export function closedNumber(): number {
  using file = openFromPool("0");
  return file.fd;
}

/** Which opening is behind a descriptor. */
export function nameInPool(fd: number): string {
  for (const [name, opening] of openings) {
    if (sameOpenFile(opening.fd, fd)) return name;
  }
  return "something else";
}

/** The digit of a file of the pool, from the link of its descriptor in `/proc`; empty for any other. */
export function digitOf(link: string): string {
  return link.match(/^\/memfd:model-(\d) /)?.[1] ?? "";
}
