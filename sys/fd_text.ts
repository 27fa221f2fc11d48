/**
 * What `/proc/self` says of a descriptor, read with as few steps as can be: in an update the same files are read for thousands of
 * descriptors, by code that has not run before.
 *
 * Happy path: {@linkcode linkOf} and {@linkcode infoTextOf} give the text.
 *
 * Unhappy path: the descriptor is not open, or `/proc` is not mounted: `SysError` with code ENOENT.
 *
 * @module
 */
import { check, checkRetrying } from "./errno.ts";
import { closeFd } from "./fd.ts";
import { readFile, readLink } from "./file.ts";
import { call } from "./symbols.ts";
import { decodeText } from "./text.ts";

const O_CLOEXEC = 0o2000000;

/** Where texts are read to: nothing of it is kept. */
const page = new Uint8Array(4096);

/** No number is longer as a text. */
const MAX_NUMBER_CHARACTERS = 32;

/** A path that ends with a number, in one buffer for all numbers. */
class NumberedPath {
  readonly #folder: string;
  readonly #bytes: Uint8Array<ArrayBuffer>;

  constructor(folder: string) {
    this.#folder = folder;
    // Room for any number, not only those that descriptors have: C reads on until it finds a NUL.
    this.#bytes = new Uint8Array(folder.length + MAX_NUMBER_CHARACTERS + 1);
    for (let at = 0; at < folder.length; at++) this.#bytes[at] = folder.charCodeAt(at);
  }

  /** The path as C wants it, until the next call. */
  bytes(fd: number): Uint8Array<ArrayBuffer> {
    let at = this.#folder.length;
    for (const digit of String(fd)) this.#bytes[at++] = digit.charCodeAt(0);
    this.#bytes[at] = 0;
    return this.#bytes;
  }

  text(fd: number): string {
    return `${this.#folder}${fd}`;
  }
}

const links = new NumberedPath("/proc/self/fd/");
const infos = new NumberedPath("/proc/self/fdinfo/");

/**
 * The target of the link of a descriptor.
 *
 * @param fd an open descriptor
 * @returns the kernel's words for what it refers to
 * @throws {SysError} ENOENT
 */
export function linkOf(fd: number): string {
  const length = call.readlink(links.bytes(fd), page, BigInt(page.byteLength));
  if (length < 0) check(length, "readlink", JSON.stringify(links.text(fd)));
  return length < page.byteLength ? decodeText(page.subarray(0, length)) : readLink(links.text(fd));
}

/**
 * The state of a descriptor.
 *
 * @param fd an open descriptor
 * @returns the lines of its file in `/proc/self/fdinfo`
 * @throws {SysError} ENOENT; EMFILE
 */
export function infoTextOf(fd: number): string {
  const path = infos.bytes(fd);
  const file = call.open(path, O_CLOEXEC, 0);
  if (file < 0) check(file, "open", JSON.stringify(infos.text(fd)));
  let length: number;
  try {
    length = checkRetrying(() => call.read(file, page, BigInt(page.byteLength)), "read", fd);
  } finally {
    closeFd(file);
  }
  // The kernel writes such a file whole and then gives what was asked for: less than there is room for is all of it.
  return decodeText(length < page.byteLength ? page.subarray(0, length) : readFile(infos.text(fd)));
}
