/**
 * FIFOs by their path.
 *
 * @module
 */
import { statAt } from "../../handlers/file.ts";
import { LuoError } from "../../luo/errors.ts";
import { describeFd, fstat, type OwnedFd, SysError } from "../../sys/mod.ts";
import { makeFifo, openFifo, type PipeAccess } from "../../sys/pipe.ts";

/**
 * Opens a FIFO without waiting for anybody.
 *
 * @param path where it is
 * @param access for which ends
 * @param mode permission bits with which it is made if nothing is there; null: it has to be there
 * @throws {LuoError} `ENXIO` nobody reads what is to be written, `ENOENT`, `EINVAL` it is something else
 * @throws {SysError} what mkfifo(3) and open(2) answer
 */
export function openFifoAt(path: string, access: PipeAccess, mode: number | null): OwnedFd {
  if (mode !== null && statAt(path) === null) createFifo(path, mode);
  // First of all: to open a device can do something, and a socket cannot be opened either.
  checkFifo(path);
  using undo = new DisposableStack();
  let fifo: OwnedFd;
  try {
    fifo = undo.use(openFifo(path, access));
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "ENXIO") throw error;
    throw new LuoError("ENXIO", `Cannot open FIFO "${path}" for writing: nobody reads it`, { cause: error });
  }
  if (fstat(fifo.fd).kind !== "fifo") {
    throw new LuoError("EINVAL", `Cannot open FIFO "${path}": it is ${describeFd(fifo.fd)}`);
  }
  undo.move();
  return fifo;
}

/** Another process may make it at the same moment. */
function createFifo(path: string, mode: number): void {
  try {
    makeFifo(path, mode);
  } catch (error) {
    if (!(error instanceof SysError) || error.code !== "EEXIST") throw error;
  }
}

/**
 * Checks that a path leads to a FIFO.
 *
 * @throws {LuoError} `ENOENT`, `EINVAL`
 */
export function checkFifo(path: string): void {
  const found = statAt(path);
  if (found?.isFifo) return;
  if (found !== null) throw new LuoError("EINVAL", `Cannot open FIFO "${path}": it is ${kindOf(found)}`);
  throw new LuoError("ENOENT", `Cannot open FIFO "${path}": there is none`);
}

function kindOf(found: Deno.FileInfo): string {
  if (found.isFile) return "a regular file";
  if (found.isDirectory) return "a directory";
  if (found.isSocket) return "a socket";
  return "a device";
}
