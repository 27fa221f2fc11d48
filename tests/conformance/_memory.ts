/**
 * What the runner remembers of each preserved file, by its inode: a file that comes back here is the very same one, so
 * what it was tells which differences are to be expected.
 *
 * Happy path: `preserved`, `sealed` and `cameBack` take note; the memory travels with the progress over a kexec.
 *
 * @module
 */
import { fdLink, fstat, getFlags, getSeals, SEALS } from "../../sys/mod.ts";
import { measuredFlags } from "./_kinds.ts";

/** What is remembered of a file. */
export interface FileMemory {
  /** Permission bits and type, in octal. */
  mode: string;
  /** Status flags of the description that was preserved, in octal. */
  fl: string;
  /** Text of its link in /proc. */
  link: string;
  /** Seals that it has. */
  seals: number;
  /** Seals that it has in the kernel, as far as that can be told. */
  kernelSeals: number;
  /** Those of them that the kernel took note of when it was preserved last. */
  preservedSeals: number;
  /** Did it come back from an update? */
  cameBack: boolean;
  /** In which image it came back last. */
  image: number;
  /** Did the kernel do something to it that could not be done here? Then by which rule. */
  diverged: string | null;
}

/** The identity of a file. */
export function inodeOf(fd: number): string {
  const { dev, ino } = fstat(fd);
  return `${dev}:${ino}`;
}

/** Its seals; 0 for what cannot have any. */
export function sealsOf(fd: number): number {
  try {
    return getSeals(fd);
  } catch {
    return 0;
  }
}

/** What is remembered of all files. */
export class Memory {
  readonly #files: Map<string, FileMemory>;
  readonly #image: number;

  /**
   * @param image the number of this image, from 0
   * @param files what an earlier image remembered
   */
  constructor(image: number, files: Readonly<Record<string, FileMemory>> = {}) {
    this.#image = image;
    this.#files = new Map(Object.entries(files));
  }

  /** What is remembered of a file, or null for one that was never preserved. */
  of(fd: number): FileMemory | null {
    return this.#files.get(inodeOf(fd)) ?? null;
  }

  /** A file was preserved. */
  preserved(fd: number): void {
    const seals = sealsOf(fd);
    const before = this.of(fd);
    const kernelSeals = before?.kernelSeals ?? seals;
    this.#files.set(inodeOf(fd), {
      mode: fstat(fd).mode.toString(8),
      fl: measuredFlags(getFlags(fd)).toString(8),
      link: fdLink(fd),
      seals,
      kernelSeals,
      preservedSeals: kernelSeals,
      cameBack: before?.cameBack ?? false,
      image: before?.image ?? -1,
      diverged: before?.diverged ?? null,
    });
  }

  /** Seals were added to a file. */
  sealed(fd: number): void {
    const file = this.of(fd);
    if (file === null) return;
    const seals = sealsOf(fd);
    file.kernelSeals |= seals & ~file.seals;
    file.seals = seals;
  }

  /** A file was retrieved. */
  cameBack(fd: number): void {
    const file = this.of(fd);
    if (file === null) return;
    if (!file.cameBack || file.image !== this.#image) file.kernelSeals = restoredSeals(file.preservedSeals);
    file.cameBack = true;
    file.image = this.#image;
  }

  /** For the progress. */
  toJSON(): Record<string, FileMemory> {
    return Object.fromEntries(this.#files);
  }
}

/** Seals of a file that came back: what is sealed against execution has, in the kernel, all seals of its content on. */
function restoredSeals(preserved: number): number {
  const content = SEALS.SHRINK | SEALS.GROW | SEALS.WRITE | SEALS.FUTURE_WRITE;
  return (preserved & SEALS.EXEC) === 0 ? preserved : preserved | content;
}
