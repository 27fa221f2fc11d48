/**
 * The control socket of a service, a unix socket that crosses updates.
 *
 * Happy path: it is bound when the application opens live update, and taken back in the next build.
 *
 * Unhappy paths: a socket that another process serves is never displaced; one that nobody serves any more is replaced.
 *
 * @module
 */
import { LuoError } from "../luo/errors.ts";
import { formatAddress, type OwnedFd, type SocketAddress, SysError } from "../sys/mod.ts";
import { listenAt, ownerOf } from "./address.ts";
import type { Resources } from "./resources.ts";

/** The reserved name of the control socket. */
export const CONTROL_NAME = "@control";

/** The name of the connections that listen to `/v1/events`. */
export const EVENTS_NAME = "@events";

/**
 * Opens the control socket, or takes it back.
 *
 * @param path where it lies
 * @param resources the names of this image
 * @returns the listening socket, the caller's
 * @throws {LuoError} `EADDRINUSE` when a process serves it, naming its pid; `EACCES` and the like as the system says
 */
export function openControlSocket(path: string, resources: Resources): OwnedFd {
  const handed = resources.claim(CONTROL_NAME, "control");
  if (handed !== null) return handed;
  const address: SocketAddress = { family: "unix", path };
  try {
    prepareFolder(path);
    const listener = listenAt(address);
    Deno.chmodSync(path, 0o600);
    resources.add(CONTROL_NAME, "control", listener.fd);
    return listener;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const owner = error.code === "EADDRINUSE" ? ownerOf(address) : null;
    const state = owner === null ? error.message : `process ${owner.pid} serves it`;
    throw new LuoError(error.code, `Cannot open the control socket ${formatAddress(address)}: ${state}`, {
      cause: error,
    });
  }
}

/**
 * Makes the folder of the control socket. One that we make is ours alone; one that is there is left as it is.
 *
 * @throws {LuoError} `EACCES` when it cannot be made
 */
export function prepareFolder(path: string): void {
  const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
  if (folder === "") return;
  try {
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new LuoError(
      "EACCES",
      `Cannot make the folder of the control socket: ${reason}: choose another with --socket`,
      {
        cause: error,
      },
    );
  }
}

let crossing = false;

/** Says that the socket is on its way to the next image, or not any more: who ends now does not end the service. */
export function keepSocket(on: boolean): void {
  crossing = on;
}

/**
 * A service that ends leaves no socket behind; one that is killed does, and the next start replaces it.
 *
 * @param path where it lies
 * @param isOnProbation is there a previous build that would come back and need it?
 */
export function removeAtExit(path: string, isOnProbation: () => boolean): void {
  globalThis.addEventListener("unload", () => {
    if (crossing || isOnProbation()) return;
    try {
      Deno.removeSync(path);
    } catch {
      // Somebody removed it already.
    }
  });
}
