/**
 * The conditions that a rule of deviation can name in `when`: facts about a step at its turn.
 *
 * @module
 */
import { fstat, getFlags, O_PATH, openFile, pread, SEALS, seek } from "../../sys/mod.ts";
import { orchestrator } from "../../luo/process.ts";
import type { Context } from "./_context.ts";
import { isUtf8, nameField } from "./_encoding.ts";
import { inodeOf, sealsOf } from "./_memory.ts";
import type { Step } from "./_scenario.ts";

/** Is it so? */
type Condition = (step: Step, context: Context) => boolean;

const O_ACCMODE = 3;
const O_RDONLY = 0;
const FALLOC_FL_KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const LARGE_BYTES = 2 ** 44;

/** All conditions, by name. */
export const CONDITIONS: Readonly<Record<string, Condition>> = {
  "live update is off": (_step, { off }) => off,
  "the name is not UTF-8": ({ args }) => !isUtf8(nameField(args.bytes("name"))),
  "the file has 16 TiB or more": (step, context) =>
    withFile(step, context, (fd) => fstat(fd).size >= LARGE_BYTES),
  "the file is preserved": (step, context) => withFile(step, context, isPreserved),
  "the file was preserved": (step, context) =>
    withFile(step, context, (fd) => context.memory.of(fd) !== null),
  "the file came back": (step, context) =>
    withFile(step, context, (fd) => context.memory.of(fd)?.cameBack === true),
  "the kernel seals it": (step, context) =>
    withFile(step, context, (fd) => {
      const file = context.memory.of(fd);
      return file !== null && (file.kernelSeals & ~file.seals) !== 0;
    }),
  "it has late seals or is read-only": (step, context) =>
    withFile(step, context, (fd) => {
      const file = context.memory.of(fd);
      return file !== null && ((file.seals & ~file.kernelSeals) !== 0 || isReadOnly(fd));
    }),
  "it changes the size or the pages": (step, context) => {
    const before = lookAt(step, context);
    return before !== null && changesExtent(step, before);
  },
  "it begins before the end": (step, context) => {
    const before = lookAt(step, context);
    return before !== null && before.place < before.size;
  },
  "it seals against writing": ({ args }) => (args.number("seals", 0) & SEALS.WRITE) !== 0,
  "nothing here refuses it": (step, context) =>
    withFile(step, context, (fd) => !isRefused(step, context, fd)),
};

/** The file that a step works on, or null. */
export function fileOf({ args }: Step, { world }: Context): number | null {
  if (!args.has("fd")) return null;
  const thing = world.peek(args.text("fd"));
  return thing?.kind === "file" ? thing.fd.fd : null;
}

/** A file before a step was run. */
export interface Before {
  /** Its size. */
  readonly size: number;
  /** Where a write of the step begins. */
  readonly place: number;
  /** What is there, from the place to the end, for a write that goes further. */
  readonly tail: Uint8Array<ArrayBuffer>;
}

/** Looks at the file of a step before it is run; null where there is none. */
export function lookAt(step: Step, context: Context): Before | null {
  const fd = fileOf(step, context);
  if (fd === null) return null;
  const { size, kind } = fstat(fd);
  if (kind !== "file" || (getFlags(fd) & O_PATH) !== 0) return null;
  const place = step.args.has("at") ? step.args.number("at") : seek(fd, 0, "cur");
  const crosses = step.op === "write" && place < size && place + step.args.bytes("data").length > size;
  return { size, place, tail: crosses ? tailOf(fd, place, size) : new Uint8Array(0) };
}

/** Read through a descriptor of our own: the step's may be for writing only. */
function tailOf(fd: number, place: number, size: number): Uint8Array<ArrayBuffer> {
  using file = openFile(`/proc/self/fd/${fd}`);
  const tail = new Uint8Array(size - place);
  pread(file.fd, tail, place);
  return tail;
}

/** The kernel refuses these while a file is preserved, even where the size stays: pages would come or go. */
function changesExtent({ op, args }: Step, { size, place }: Before): boolean {
  if (op === "ftruncate") return args.number("bytes", 0) !== size;
  if (op === "write") return place + args.bytes("data").length > size;
  return op === "fallocate";
}

function withFile(step: Step, context: Context, test: (fd: number) => boolean): boolean {
  const fd = fileOf(step, context);
  return fd !== null && test(fd);
}

/** Does an outgoing session hold the file? */
function isPreserved(fd: number): boolean {
  const inode = inodeOf(fd);
  return orchestrator().sessions()
    .filter(({ direction }) => direction === "outgoing")
    .some((session) => session.files().some((file) => file.fd !== null && inodeOf(file.fd) === inode));
}

/** Can nothing be written through this descriptor? */
export function isReadOnly(fd: number): boolean {
  return (getFlags(fd) & O_ACCMODE) === O_RDONLY;
}

/** Would the system refuse the step by itself, so that it can be run without changing anything? */
function isRefused(step: Step, context: Context, fd: number): boolean {
  const { op, args } = step;
  const seals = sealsOf(fd);
  const { size, place } = lookAt(step, context) ?? { size: 0, place: 0 };
  const changesSize = (bytes: number): boolean =>
    (bytes < size && (seals & SEALS.SHRINK) !== 0) || (bytes > size && (seals & SEALS.GROW) !== 0);
  if (op === "seal") {
    const inode = inodeOf(fd);
    const isMapped = [...context.world.mapped.values()].some((mapping) => mapping.inode === inode);
    return (seals & SEALS.SEAL) !== 0 || isMapped;
  }
  if (isReadOnly(fd)) return true;
  if (op === "ftruncate") return args.number("bytes", 0) === size || changesSize(args.number("bytes", 0));
  if (op === "fallocate") {
    const mode = args.number("mode", 0);
    if ((mode & ~(FALLOC_FL_KEEP_SIZE | PUNCH_HOLE)) !== 0) return true;
    if ((mode & PUNCH_HOLE) !== 0) return (seals & (SEALS.WRITE | SEALS.FUTURE_WRITE)) !== 0;
    return changesSize(Math.max(size, args.number("offset", 0) + args.number("len")));
  }
  if ((seals & (SEALS.WRITE | SEALS.FUTURE_WRITE)) !== 0) return true;
  return (seals & SEALS.GROW) !== 0 && place >= size;
}
