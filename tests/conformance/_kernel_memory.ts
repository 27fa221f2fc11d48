/**
 * What only tests do with a memfd: blocks given to it and taken away (`fallocate(2)`), and one on huge pages.
 *
 * Happy path: `allocate(fd, 0, 4096)`, `punchHole(fd, 0, 4096)`, `hugeMemfd("name")`.
 *
 * Unhappy paths: what the kernel refuses is a `SysError`; on a kernel without huge pages that is `EINVAL`
 * or `ENOSYS`.
 *
 * @module
 */
import { OwnedFd } from "../../mod.ts";
import { check } from "../../sys/errno.ts";
import { cString } from "../../sys/text.ts";

const MFD_CLOEXEC = 1;
const MFD_HUGETLB = 4;
const FALLOC_FL_KEEP_SIZE = 1;
const FALLOC_FL_PUNCH_HOLE = 2;

const SYMBOLS = {
  fallocate: { parameters: ["i32", "i32", "i64", "i64"], result: "i32" }, // int fallocate(int fd, int mode, off_t offset, off_t len)
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" }, // int memfd_create(const char *name, unsigned int flags)
} as const satisfies Deno.ForeignLibraryInterface;

function withLibc<T>(body: (libc: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"]) => T): T {
  const libc = Deno.dlopen("libc.so.6", SYMBOLS);
  try {
    return body(libc.symbols);
  } finally {
    libc.close();
  }
}

/** Gives blocks to a range, which is read as zeros until it is written; the file grows where it is too short. */
export function allocate(fd: number, offset: number, length: number): void {
  withLibc((libc) => check(libc.fallocate(fd, 0, BigInt(offset), BigInt(length)), "fallocate", fd));
}

/** Takes the blocks of a range away: it is read as zeros. */
export function punchHole(fd: number, offset: number, length: number): void {
  const mode = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE;
  withLibc((libc) => check(libc.fallocate(fd, mode, BigInt(offset), BigInt(length)), "fallocate", fd));
}

/** A memfd on huge pages; it needs none until it is used. */
export function hugeMemfd(name: string): OwnedFd {
  const label = cString(name);
  return withLibc((libc) =>
    OwnedFd.adopt(check(libc.memfd_create(label, MFD_CLOEXEC | MFD_HUGETLB), "memfd_create", name))
  );
}
