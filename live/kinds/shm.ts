/**
 * POSIX shared memory that survives updates: memory on `/dev/shm` that other programs open by name.
 *
 * Happy path: `const table = await live.shm("table", "/table", { size: 4096 })`. Other programs have the same bytes by
 * `shm_open("/table")`, without a gap over updates.
 *
 * Unhappy paths:
 * 1. Somebody removed the name, or put other memory under it: what is open stays, {@linkcode SharedMemory.path} says so.
 * 2. No room: `ENOSPC` where it is taken, not a SIGBUS where it is touched. In an update that is before the commit, and
 *    the old build comes back. What a build that failed has reserved for growing stays reserved.
 * 3. Somebody makes it smaller. Nothing can forbid that. {@linkcode SharedMemory.bytes} then shows what is left, and old views
 *    have length 0; who touches an old view before that is ended (SIGBUS). At the next commit it is grown again.
 *
 * @module
 */
import { type PathState, pathState, statAt } from "../../handlers/file.ts";
import { SHM_DIRECTORY } from "../../handlers/shm.ts";
import { LuoError } from "../../luo/errors.ts";
import { createMemfd, describeFd, fstat, type OwnedFd, SysError } from "../../sys/mod.ts";
import { allocate, machineBytes, shmOpen, shmUnlink } from "../../sys/shm.ts";
import { checkSize, manage, type SegmentHolder, SharedSegment } from "../segment.ts";
import { take } from "../take.ts";
import { takeover } from "../takeover.ts";

/** How shared memory is asked for. */
export interface ShmOptions {
  /** Bytes that the application wants to see, 1 or more. */
  size: number;
  /** Permission bits of new memory, before the umask. @default {0o600} */
  mode?: number;
  /** Create it if it is not there. @default {true} */
  create?: boolean;
}

/** Longest name of shared memory with its slash, in bytes (shm_open(3)). */
const MAX_SHM_NAME_BYTES = 255;

/** So often somebody else may create and remove the name between two looks. */
const TRIES = 100;

/** Bytes of a block of `st_blocks`. */
const BLOCK_BYTES = 512;

/** Shared memory that other programs open by name. */
export class SharedMemory extends SharedSegment {
  /** What other programs call it. */
  readonly shmName: string;

  /**
   * For `live` only.
   *
   * @param name its name
   * @param shmName what other programs call it
   * @param memory the memory; owned from here on
   * @param wanted bytes that the application wants to see
   * @param drop takes the name out of the table
   */
  constructor(name: string, shmName: string, memory: OwnedFd, wanted: number, drop: () => void) {
    super(name, memory, wanted, drop);
    this.shmName = shmName;
  }

  /**
   * The memory, as far as it is there: another view, and the old ones with length 0, when somebody has changed its size.
   * That is a system call each time; who keeps the view trusts the others.
   */
  override get bytes(): Uint8Array<ArrayBuffer> {
    this.fit();
    return super.bytes;
  }

  /** Does the name still lead to this memory? In a check, always. */
  get path(): PathState {
    return takeover.check !== null ? "same" : pathState(this.fd, pathOf(this.shmName));
  }

  /**
   * Removes the name, if it still leads to this memory. The memory itself goes with its last holder.
   *
   * @returns whether the name was removed
   * @throws {SysError} EACCES
   */
  unlink(): boolean {
    if (this.path !== "same") return false;
    if (takeover.check === null) shmUnlink(this.shmName);
    return true;
  }
}

/**
 * Takes shared memory.
 *
 * @param life the application
 * @param name its name
 * @param shmName what other programs call it
 * @param options as the application said
 * @throws as `live.shm`
 */
export async function takeShm(
  life: SegmentHolder,
  name: string,
  shmName: string,
  options: ShmOptions,
): Promise<SharedMemory> {
  const { size } = options;
  checkSize(`shared memory "${name}"`, size);
  checkShmName(name, shmName);
  using undo = new DisposableStack();
  let handed = false;
  const fd = await take(
    life.resources,
    name,
    "shm",
    () => {
      const { memory, made } = openShm(name, shmName, options);
      if (made) undo.defer(() => shmUnlink(shmName));
      return memory;
    },
    () => {
      checkMachine(name, size);
      return createMemfd(`heirloom:${name}`, { size });
    },
    (memory, taken) => {
      handed = taken;
      if (taken) reserve(name, memory.fd, size, true);
    },
  );
  const segment = manage(
    life,
    { name, fd },
    handed,
    (drop) => new SharedMemory(name, shmName, fd, size, drop),
  );
  undo.move();
  return segment;
}

/**
 * Checks a name of shared memory.
 *
 * @throws {LuoError} `EINVAL`
 */
function checkShmName(name: string, shmName: string): void {
  const bytes = new TextEncoder().encode(shmName).byteLength;
  const rest = shmName.slice(1);
  if (
    shmName.startsWith("/") && bytes <= MAX_SHM_NAME_BYTES && shmName.isWellFormed() &&
    !/[/\0]/.test(rest) && !["", ".", ".."].includes(rest)
  ) return;
  throw new LuoError(
    "EINVAL",
    `Cannot take shared memory "${name}" as ${JSON.stringify(shmName)}: ` +
      `such a name is a slash and 1 to ${MAX_SHM_NAME_BYTES - 1} bytes without a slash`,
  );
}

/** A tmpfs without a limit would take all memory of the machine before it said that there is not enough. */
function checkMachine(name: string, size: number): void {
  const bytes = machineBytes();
  if (size <= bytes) return;
  const text = `${size} bytes are asked for, this machine has ${bytes} of memory`;
  throw new LuoError("ENOMEM", `Cannot take shared memory "${name}": ${text}`);
}

/** Opens what is there, or creates it as a whole. */
function openShm(name: string, shmName: string, options: ShmOptions): { memory: OwnedFd; made: boolean } {
  const { size, create = true } = options;
  for (let tries = 0; tries < TRIES; tries++) {
    const found = unless("ENOENT", () => openFound(name, shmName));
    if (found !== null) {
      using undo = new DisposableStack();
      undo.use(found);
      checkKind(name, shmName, found.fd);
      reserve(name, found.fd, size, false);
      undo.move();
      return { memory: found, made: false };
    }
    if (!create) break;
    const made = unless("EEXIST", () => shmOpen(shmName, { create: true, mode: options.mode ?? 0o600 }));
    if (made === null) continue;
    using undo = new DisposableStack();
    undo.use(made);
    undo.defer(() => shmUnlink(shmName));
    checkMachine(name, size);
    allocate(made.fd, 0, size);
    undo.move();
    return { memory: made, made: true };
  }
  throw new LuoError("ENOENT", `Cannot take shared memory "${name}": there is no ${pathOf(shmName)}`);
}

/** Opens what is there. */
function openFound(name: string, shmName: string): OwnedFd {
  try {
    return shmOpen(shmName);
  } catch (error) {
    // The name is good: so it is a directory, of which the C library says that.
    if (!(error instanceof SysError) || error.code !== "EINVAL") throw error;
    throw noMemory(name, shmName, "a directory");
  }
}

/** A name may lead to anything; what is no regular file is no memory. */
function checkKind(name: string, shmName: string, fd: number): void {
  if (fstat(fd).kind !== "file") throw noMemory(name, shmName, describeFd(fd));
}

function noMemory(name: string, shmName: string, what: string): LuoError {
  return new LuoError("EINVAL", `Cannot take shared memory "${name}": ${pathOf(shmName)} is ${what}`);
}

/**
 * Gets room for the bytes that were asked for, without changing the size, which other programs see and a rollback could
 * not take back. What was handed over has room already, as far as it goes; asking again would cost as much as it did the first
 * time.
 */
function reserve(name: string, fd: number, size: number, handed: boolean): void {
  const from = handed ? fstat(fd).size : 0;
  if (size <= from || (statAt(`/proc/self/fd/${fd}`)?.blocks ?? 0) * BLOCK_BYTES >= size) return;
  checkMachine(name, size);
  allocate(fd, from, size, { keepSize: true });
}

function pathOf(shmName: string): string {
  return `${SHM_DIRECTORY}${shmName}`;
}

/** What `body` gives, or null where it answers that error. */
function unless<T>(code: string, body: () => T): T | null {
  try {
    return body();
  } catch (error) {
    if (error instanceof SysError && error.code === code) return null;
    throw error;
  }
}
