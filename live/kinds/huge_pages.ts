/**
 * Segments on huge pages.
 *
 * Happy path: {@linkcode hugeMemory} looks whether the machine has such pages; `create` makes the memory. The pages are
 * promised when it is mapped, and the promise belongs to the memory: it crosses with it.
 *
 * Unhappy paths: a size that is no multiple of the page, a machine without such pages, too few of them: errors with all
 * numbers in them, before anything is made. Between the look and the mapping somebody else may take them: `ENOMEM` of
 * mmap(2).
 *
 * @module
 */
import { LuoError } from "../../luo/errors.ts";
import type { OwnedFd } from "../../sys/mod.ts";
import { createHugeMemfd, defaultHugePageBytes, hugePageFacts } from "../../sys/shm.ts";
import type { SegmentOptions } from "../segment.ts";

/** Bytes of a page by its name. */
const PAGE_BYTES = { "2MB": 2 ** 21, "1GB": 2 ** 30 } as const;

/** Memory on huge pages, not made yet. */
export interface HugeMemory {
  /** Bytes of a page. */
  readonly pageBytes: number;
  /** Are there pages for so many bytes more? Throws `ENOMEM` if not. */
  check(bytes: number): void;
  /** Makes the memory. */
  create(): OwnedFd;
}

/**
 * Looks at what is asked for.
 *
 * @param name the name of the segment
 * @param size bytes
 * @param pages which pages
 * @throws {LuoError} `ENODEV` where there are no such pages
 * @throws {RangeError} a size that is no multiple of the page
 * @throws {TypeError} pages that are none
 */
export function hugeMemory(
  name: string,
  size: number,
  pages: NonNullable<SegmentOptions["hugePages"]>,
): HugeMemory {
  const pageBytes = pages === true ? defaultHugePageBytes() : PAGE_BYTES[pages];
  if (pageBytes === undefined) {
    throw new TypeError(`Cannot take segment "${name}" on huge pages "${pages}": "2MB" and "1GB" are known`);
  }
  const facts = pageBytes === null ? null : hugePageFacts(pageBytes);
  if (pageBytes === null || facts === null) {
    const what = pages === true ? "huge pages" : `huge pages of ${pages}`;
    throw new LuoError("ENODEV", `Cannot take segment "${name}": this machine has no ${what}`);
  }
  if (size % pageBytes !== 0) {
    throw new RangeError(
      `Cannot take segment "${name}": size ${size} is no multiple of its pages of ${pageBytes} bytes`,
    );
  }
  const check = (bytes: number): void => {
    const needed = bytes / pageBytes;
    const { total, available } = hugePageFacts(pageBytes) ?? facts;
    if (needed <= available) return;
    const text =
      `${needed} more huge pages of ${pageBytes / 1024} kB are needed, ${total} are reserved and ` +
      `${available} of them are free (vm.nr_hugepages)`;
    throw new LuoError("ENOMEM", `Cannot take segment "${name}": ${text}`);
  };
  const create = (): OwnedFd => {
    check(size);
    return createHugeMemfd(`heirloom:${name}`, size, pageBytes);
  };
  return { pageBytes, check, create };
}
