/**
 * How an application comes by a descriptor: taken back, or created; in a check, neither.
 *
 * @module
 */
import { LuoError } from "../luo/errors.ts";
import { getsockname, isOpenFd, type OwnedFd } from "../sys/mod.ts";
import { listenAt, satisfies, type ServerAddress, socketAddressOf } from "./address.ts";
import type { ResourceKind } from "./resource_name.ts";
import type { Resources } from "./resources.ts";
import { takeover } from "./takeover.ts";

/**
 * Takes back what was handed over under a name, or creates it.
 *
 * @param resources the names of this build
 * @param name the name
 * @param kind what it stands for
 * @param create makes it when nothing was handed over
 * @param standIn takes the place of both in a check, and is told whether something was handed over, and given what its
 * handler made to stand for it
 * @param check looks at the descriptor, and is told whether it was handed over; when it throws, nothing was taken
 * @returns the descriptor, the caller's
 * @throws {LuoError} `EEXIST`, `ENOENT`, `EINVAL`; `EBADF` when `create` gave one that is closed; what `create` and `check`
 * throw
 */
export async function take(
  resources: Resources,
  name: string,
  kind: ResourceKind,
  create: () => OwnedFd | Promise<OwnedFd>,
  standIn?: (handed: boolean, model: OwnedFd | null) => OwnedFd,
  check: (fd: OwnedFd, handed: boolean) => void = () => {},
): Promise<OwnedFd> {
  if (takeover.check !== null) return takeover.check.take(resources, name, kind, standIn);
  using undo = new DisposableStack();
  const handed = claimUntil(undo, resources, name, kind);
  if (handed !== null) {
    check(handed, true);
    undo.move();
    return handed;
  }
  const made = await create();
  // Closing what is closed already fails as well, and would hide why it was not taken.
  if (!isOpenFd(made.fd)) throw new LuoError("EBADF", `Cannot take "${name}": fd ${made.fd} is closed`);
  undo.use(made);
  check(made, false);
  resources.add(name, kind, made.fd);
  undo.move();
  return made;
}

/**
 * Takes back what was handed over under a name, until that is undone: then it waits to be claimed again.
 *
 * @param undo what undoes it
 * @param resources the names of this build
 * @param name the name
 * @param kind what it stands for
 * @returns the descriptor, the caller's once `undo` is moved, or null when nothing of that name was handed over
 * @throws {LuoError} `EEXIST`, `EINVAL`
 */
export function claimUntil(
  undo: DisposableStack,
  resources: Resources,
  name: string,
  kind: ResourceKind,
): OwnedFd | null {
  const fd = resources.claim(name, kind);
  if (fd === null) return null;
  undo.use(fd);
  undo.defer(() => resources.unclaim(name));
  return fd;
}

/**
 * Takes back a listening socket, which counts only if it listens where it is wanted now, or opens one.
 *
 * @param resources the names of this build
 * @param name the name of the server
 * @param address where it is to listen
 * @throws {LuoError} `EEXIST`, `EINVAL`
 * @throws {SysError} what bind(2) answers
 */
export async function takeListener(
  resources: Resources,
  name: string,
  address: ServerAddress,
): Promise<OwnedFd> {
  const wanted = socketAddressOf(address);
  if (takeover.check !== null) return takeover.check.take(resources, name, "listener");
  const handed = resources.claim(name, "listener");
  if (handed !== null && satisfies(getsockname(handed.fd), wanted)) return handed;
  if (handed !== null) {
    resources.drop(name);
    handed[Symbol.dispose]();
  }
  return await take(resources, name, "listener", () => listenAt(wanted));
}
