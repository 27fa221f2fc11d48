/**
 * An application with a handler of its own and a state, both of which have versions: what one build writes, another one may
 * or may not read.
 *
 * @module
 */
import { type AppParts, LIBRARY } from "./_fixtures.ts";

/** The versions of a build. */
export interface Versions {
  /** What `/` answers. */
  label: string;
  /** The version that handler and state write. */
  writes: number;
  /** The versions that the handler reads. */
  handler: readonly [lowest: number, highest: number];
  /** The versions that the state reads. @default {those of the handler} */
  state?: readonly [lowest: number, highest: number];
}

const ROOT = LIBRARY.replace("mod.ts", "");

/**
 * A build of that application. Version 1 of the state is the list of things, later ones hold it in a document; `/shelf`
 * answers with the list, and which versions of handler and state were read.
 */
export function versioned({ label, writes, handler, state = handler }: Versions): AppParts {
  return {
    label,
    before: `import { fstat, openFile } from "${ROOT}sys/mod.ts";
import { decodeCbor, encodeCbor } from "${ROOT}kho/codec.ts";
const read = { box: null, shelf: null };
const boxes = {
  compatible: "box-v1",
  version: ${writes},
  reads: ${JSON.stringify(handler)},
  canPreserve: ({ fd }) => fstat(fd).kind === "chardev",
  preserve(args) {
    args.kho.preserveFd(args.fd);
    args.serializedData = args.kho.preserveBlob(encodeCbor([${writes}, args.fd]));
  },
  unpreserve(args) {
    args.kho.unpreserveBlob(args.serializedData);
    args.kho.unpreserveFd(args.fd);
  },
  retrieve({ kho, serializedData }) {
    const [version, fd] = decodeCbor(kho.blob(serializedData));
    read.box = version;
    return kho.borrowFd(fd);
  },
  finish: ({ kho, serializedData }) => kho.releaseFd(decodeCbor(kho.blob(serializedData))[1]),
};`,
    options: "{ handlers: [boxes] }",
    use: `const box = await live.inherit("box", () => openFile("/dev/zero", { read: true }));
let shelf = ["cup"];
live.state("shelf", {
  version: ${writes},
  reads: ${JSON.stringify(state)},
  save: () => ${writes === 1 ? "shelf" : "({ things: shelf })"},
  load(value, version) {
    read.shelf = version;
    shelf = version === 1 ? value : value.things;
  },
});`,
    routes: `  if (path === "/put") { shelf.push(query.get("thing")); return new Response("put"); }
  if (path === "/shelf") return Response.json([shelf, read.box, read.shelf]);`,
  };
}
