/**
 * The operations on descriptors as such, and on what a process is: references, forked children, messages, limits.
 *
 * @module
 */
import { OwnedFd, pwrite, setCloexec } from "../../sys/mod.ts";
import { receiveFds, sendFds, socketPair } from "../../sys/scm.ts";
import { Device } from "../../mod.ts";
import { memfdCreate } from "./_calls.ts";
import { type Operation, target } from "./_context.ts";
import { duplicated, reopened } from "./_file_operations.ts";
import { underLimit } from "./_limit.ts";
import { Shared } from "./_world.ts";

/** The operations, by name. */
export const PROCESS_OPERATIONS: Readonly<Record<string, Operation>> = {
  close: ({ world }, args) => world.close(args.text("fd")),
  dup({ world }, args) {
    const shared = world.shared(args.text("fd"));
    const { thing } = shared;
    if (thing.kind !== "file") {
      // A real duplicate would need a descriptor too.
      underLimit(world, () => duplicated(0)[Symbol.dispose]());
      world.bind(target(args), shared.acquire());
      return;
    }
    const fd = underLimit(world, () => duplicated(thing.fd.fd));
    world.bind(target(args), new Shared({ kind: "file", fd, named: thing.named }));
  },
  reopen({ world }, args) {
    const { thing } = world.shared(args.text("fd"));
    if (thing.kind === "device") {
      const device = underLimit(world, () => Device.open());
      world.bind(target(args), new Shared({ kind: "device", device }));
      return;
    }
    const file = world.file(args.text("fd"));
    const flags = args.has("flags") ? args.number("flags") : undefined;
    const fd = underLimit(world, () => reopened(file, flags));
    const named = thing.kind === "file" && thing.named;
    world.bind(target(args), new Shared({ kind: "file", fd, named }));
  },
  hold: ({ world }, args) => world.hold(args.text("as")),
  release: ({ world }, args) => world.letGo(args.text("holder")),
  /** The message lies in the socket that it was sent to. A reference is what such a message is to a session. */
  send_session({ world }, args) {
    const shared = world.shared(args.text("session"));
    const [from, to] = underLimit(world, socketPair).map((fd) =>
      new Shared({ kind: "file", fd, named: false })
    );
    if (from === undefined || to === undefined) return;
    to.carry(shared);
    world.bind(args.has("end_a") ? args.text("end_a") : null, from);
    world.bind(args.has("end_b") ? args.text("end_b") : null, to);
  },
  /** A memfd that lay in a unix socket, and whose own descriptor is closed. */
  memfd_from_peer({ world }, args) {
    const [near, far] = socketPair();
    using _near = near;
    using _far = far;
    {
      using memory = OwnedFd.adopt(memfdCreate(new TextEncoder().encode("peer"), 0));
      pwrite(memory.fd, args.bytes("data"), 0);
      sendFds(far.fd, new Uint8Array(1), [memory.fd]);
    }
    const fd = underLimit(world, () => receiveFds(near.fd)?.fds[0]);
    if (fd === undefined) throw new Error("the descriptor did not arrive");
    setCloexec(fd.fd, false);
    world.bind(target(args), new Shared({ kind: "file", fd, named: false }));
  },
  rlimit: ({ world }, args) => void (world.limit = args.number("nofile")),
};
