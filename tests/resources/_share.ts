/**
 * A second process that shares a descriptor of the application: the test itself, which is sent a duplicate.
 *
 * @module
 */
import { heirloomRoot, waitFor } from "../../testing/mod.ts";
import { bindSocket, createSocket, type OwnedFd, SysError } from "../../sys/mod.ts";
import { receiveFds } from "../../sys/scm.ts";

const SYS = `file://${heirloomRoot()}/sys`;

/** Imports of an application that gives its descriptors away. */
export const SHARING = `import { connectSocket, createSocket } from "${SYS}/mod.ts";
import { sendFds } from "${SYS}/scm.ts";
const share = (fd: number, name: string): Response => {
  using socket = createSocket("unix", "datagram");
  connectSocket(socket.fd, { family: "abstract", name });
  sendFds(socket.fd, new Uint8Array(1), [fd]);
  return new Response("shared");
};`;

/**
 * Asks an application for a duplicate of one of its descriptors.
 *
 * @param ask asks it to share with the socket of that name
 * @returns the duplicate, the caller's
 */
export async function shared(ask: (name: string) => Promise<string>): Promise<OwnedFd> {
  const name = `heirloom-${crypto.randomUUID()}`;
  using socket = createSocket("unix", "datagram");
  bindSocket(socket.fd, { family: "abstract", name });
  await ask(name);
  const message = await waitFor(() => received(socket.fd), { what: "the descriptor" });
  return message.fds[0]!;
}

function received(socket: number): ReturnType<typeof receiveFds> {
  try {
    return receiveFds(socket);
  } catch (error) {
    if (error instanceof SysError && error.code === "EAGAIN") return null;
    throw error;
  }
}
